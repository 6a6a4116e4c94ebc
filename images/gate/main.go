// The gate is process 1 of every node's container until the agent lets the node go.
//
//	gate [-C] DIRECTORY PROGRAM [ARGUMENT...]
//
// It connects to the agent's knock socket beside it, and waits for one byte. The kernel tells the agent
// who knocks (SO_PEERCRED), so nothing that a container says is trusted. Then it becomes PROGRAM: process
// id, signals and exit code are the node's own. Without an agent it waits for ever: a node never runs
// before its links are under control. With -C the program starts in DIRECTORY, else where the image says.
package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	firstPause = 20 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	openFiles  = 65536
	// What shells say of a command that is not there, and of one that cannot be run.
	notFound  = 127
	cannotRun = 126
)

// knock returns true when the agent has sent the byte, false when the agent is not there or went away.
func knock(path string) bool {
	door, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	if syscall.Connect(door, &syscall.SockaddrUnix{Name: path}) == nil {
		for {
			count, err := syscall.Read(door, make([]byte, 1))
			if err == syscall.EINTR {
				continue
			}
			if count == 1 && err == nil {
				// The door stays open: it closes when the program is executed, and so tells the agent.
				return true
			}
			break
		}
	}
	syscall.Close(door)
	return false
}

// endOnSignal makes a container at its gate stop at once: process 1 ignores what it does not handle.
func endOnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	go func() {
		number := (<-asked).(syscall.Signal)
		os.Exit(128 + int(number))
	}()
}

func fail(code int, words string) {
	os.Stderr.WriteString("stressnet gate: " + words + "\n")
	os.Exit(code)
}

// allowFiles raises the number of open files as far as the engine's own limit allows. An engine that may not
// raise it for its containers refuses to start them when asked to, so it is not asked.
func allowFiles() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = max(limit.Cur, min(limit.Max, openFiles))
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

func main() {
	words := os.Args[1:]
	enter := len(words) > 0 && words[0] == "-C"
	if enter {
		words = words[1:]
	}
	if len(words) < 2 {
		fail(cannotRun, "usage: gate [-C] DIRECTORY PROGRAM [ARGUMENT...]")
	}
	directory, command := words[0], words[1:]
	endOnSignal()
	path := filepath.Join(filepath.Dir(os.Args[0]), "knock")
	for pause := firstPause; !knock(path); pause = min(2*pause, lastPause) {
		time.Sleep(pause)
	}
	// An image without a user of its own runs as root and may make it; for the others it is there already.
	_ = os.MkdirAll(directory, 0o755)
	if enter {
		if err := os.Chdir(directory); err != nil {
			fail(cannotRun, err.Error())
		}
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			fail(cannotRun, err.Error())
		}
		fail(notFound, err.Error())
	}
	signal.Reset()
	allowFiles()
	fail(cannotRun, program+": "+syscall.Exec(program, command, os.Environ()).Error())
}
