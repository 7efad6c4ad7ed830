package sim

// The table of commands: the language of tests/scripts.

// play is the table of commands. n, m are servers as n1; a->b two of them. A selection of
// messages is any of a kind (AppendEntries, HeartbeatReply, …), n1->n2, n1->, ->n2,
// term=3, index=4 (see described), with=text, and one, or nth=2 for the second of those.
func (p *Player) command(c scriptLine) string {
	s := p.Stage
	switch c.name {
	case "timeout": // n…: the election timer runs out
		c.each(s.Timeout)
	case "heartbeat": // n: the leader's timer runs out
		c.each(s.Heartbeat)
	case "tick": // n k: time passes for one server
		s.Tick(c.server(0), c.number(1))
	case "deliver": // a selection: those messages arrive, not what follows from them
		return found(s.Deliver(c.selection(0)))
	case "repeat": // they arrive, and stay under way: a network that repeats
		return found(s.Repeat(c.selection(0)))
	case "lose":
		return found(s.Lose(c.selection(0)))
	case "expire": // the callers of those requests give up
		return found(s.Expire(c.selection(0)))
	case "hold": // settle leaves them alone, also those to come, until release
		s.Hold(c.selection(0))
	case "release":
		s.Release()
	case "settle": // everything arrives, and what follows from it
		s.Settle()
	case "cut": // a b…: nothing passes between a and each other one; a->b: nor that way
		c.links(s.Cut)
	case "heal":
		s.Heal()
	case "breakpoint":
		breakpoint()
	default:
		return p.serverCommand(c)
	}
	return ""
}

// breakpoint does nothing. It is a place to stop at.
func breakpoint() {}

func (p *Player) serverCommand(c scriptLine) string {
	s := p.Stage
	switch c.name {
	case "slow": // n [log] [files] [own]: its disk waits for write and sync, or fast
		if c.has("own") { // the snapshot that it makes itself
			s.SlowOwn(c.server(0))
			break
		}
		log, files := c.has("log"), c.has("files")
		s.Slow(c.server(0), log || !files, files || !log)
	case "write": // n: what waits is written, without a sync
		c.each(s.Write)
	case "sync": // n: and becomes durable
		c.each(s.Sync)
	case "fast": // n: all that waits is done
		c.each(s.Fast)
	case "crash": // n… [keeping | killed]: without a word; unsynced writes are lost, or kept
		policy := LoseUnsynced
		if c.has("keeping") {
			policy = KeepAll
		}
		if c.has("killed") { // the process, not the machine
			policy = KillProcess
		}
		c.each(func(n int) { s.Crash(n, policy) })
	case "start":
		c.each(s.Start)
	case "wipe": // n: its disk is destroyed; its machine comes back as a new server
		c.each(s.Wipe)
	case "set": // n key=value
		a := c.at(1)
		s.Set(c.server(0), a.key, a.value())
	case "del": // n key
		s.Del(c.server(0), c.at(1).key)
	case "get": // n key
		s.Get(c.server(0), c.at(1).key)
	case "add": // m at n
		s.Add(c.server(2), c.server(0))
	case "remove": // m at n
		s.Remove(c.server(2), c.server(0))
	case "transfer": // to m at n
		s.Transfer(c.server(3), c.server(1))
	default:
		return p.look(c)
	}
	return ""
}

// looks are the commands that change nothing.
var looks = []string{"logs", "status", "messages", "progress", "breakpoint"}

// look carries them out.
func (p *Player) look(c scriptLine) string {
	switch s := p.Stage; c.name {
	case "logs": // as the paper draws them
		return s.Logs()
	case "status":
		return s.Status()
	case "messages": // under way
		return s.Messages()
	case "progress": // n: what the leader knows of the others
		return s.Progress(c.server(0))
	}
	bad("no command %q", c.name)
	return ""
}

const noSuchMessage = "there is no such message\n"

func found(messages int) string {
	if messages == 0 {
		return noSuchMessage
	}
	return ""
}
