// Package httpapi is what clients, operators and joining nodes see of a node: POST
// /apply and GET /get, the endpoints around them, and their errors.
//
// Every node answers everything. What only the leader can do is forwarded to it on
// the server's side (forward.go), because curl does not follow redirects and the
// names of a container network do not resolve outside of it.
//
// Reading order: backend.go (what this package needs from a node), errors.go (the
// table of all errors), server.go, host.go, apply.go, get.go, forward.go; join.go,
// members.go and transfer.go, the changes of the cluster; status.go, catchup.go,
// ready.go; then decode.go and encode.go, the JSON of the two hot paths, and front.go,
// fastpath.go, fastparse.go and fastwriter.go, their way past net/http.
//
// Three statuses carry the meaning that a client's retry depends on: 200, it is
// done; 503 and 429, it is definitely not done; 504, nobody can say.
//
// Caveats: there is no authentication, so the default is to listen on the loopback
// interface only; a GET costs the leader a round of heartbeats unless it says
// consistency=stale.
package httpapi
