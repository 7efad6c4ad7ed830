// Package rpc carries Raft's calls between servers: it is the Transport of package
// replica, on Go's net/rpc over TCP. Client makes calls, Server receives them and
// gives them to a Handler, which package node implements.
//
// Reading order: wire.go (how a message looks), frame.go (how messages follow each
// other on a connection), hello.go (what opens a connection), codec.go (both ends'
// adapters to net/rpc), service.go and replies.go (the server's calls, in order, and what
// is answered), server.go and serverconn.go, then call.go, client.go, peer.go, deadlines.go, redial.go
// and connection.go.
//
// Two servers have up to two connections in each direction, which know nothing of each
// other: one for calls, and one, made when it is needed, for the chunks of snapshots (see
// lane in hello.go). So a chunk that takes seconds delays no heartbeat.
//
// net/rpc brings the numbering of calls and the matching of replies. It lacks four
// things that Raft needs, and this package adds them:
//
//   - A codec for bytes that a stranger may have sent. Package gob leaves zero
//     values out, so a reused struct keeps old fields, and calls itself unfit for
//     hostile input. Ours is flat, bounded and checked by CRC32C.
//   - Deadlines. A net/rpc call to a server that accepts and never answers returns
//     never (golang/go#33615); here every call ends by its deadline.
//   - New connections. A net/rpc client whose connection broke answers ErrShutdown
//     for ever; here the next call dials again, with a back-off.
//   - Order. A net/rpc server starts a goroutine for each request, so pipelined
//     AppendEntries reach the handler out of order; here they are read, decoded and
//     handed over one after the other, and answered when the answer is there.
//
// # Caveats
//
// There is no authentication and no encryption: whoever can reach the port and knows
// the cluster ID and a server's ID can depose leaders. Bind it to a network that
// you trust. The order of calls holds within one connection: a call made after a
// reconnect may overtake one that the old connection had already delivered, and chunks
// and entries overtake each other, which Raft allows. Of a frame that has begun to arrive
// every 64 KiB must come within 5 s, which is 105 kbit/s. What a link must be able to do
// follows from the deadlines of the calls: an entry of 1 MiB needs 42 Mbit/s, smaller
// ones get by with less, as the core makes its messages smaller when they fail; a chunk
// of 1 MiB needs 1 Mbit/s. Two connections still share one link: what waits in the queues
// of its routers, a chunk delays too.
package rpc
