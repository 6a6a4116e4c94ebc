module stressnet/gate

go 1.21
