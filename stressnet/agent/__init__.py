"""The one helper process per host with privileges: it makes namespaces, holds and releases nodes, looks into them."""
