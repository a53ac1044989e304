package wharfside

// Of what nodes tell, the fields that an orchestrator cannot do without. All others are ignored, as
// any that a later version adds.

// State is where a container stands: the value of create, run, start, pause, resume, and inspect.
type State struct {
	Container   string `msgpack:"container"`
	Incarnation string `msgpack:"incarnation"`
	Run         int64  `msgpack:"run"`
	Revision    int64  `msgpack:"revision"`
	State       string `msgpack:"state"`
}

// Projection is a container in the bucket WHARFSIDE_CONTAINERS.
type Projection struct {
	State
	Node  string `msgpack:"node"`
	Epoch int64  `msgpack:"epoch"`
	Seq   int64  `msgpack:"seq"`
	Exit  *Exit  `msgpack:"exit"`
}

// Exit is how a process ended. ExitCode is nil where nobody knows it.
type Exit struct {
	ExitCode    *int64 `msgpack:"exit_code"`
	Reason      string `msgpack:"reason"`
	StatusKnown bool   `msgpack:"status_known"`
	ExitedAt    string `msgpack:"exited_at"`
}

// Waited is the value of wait, stop and exec. Exit is nil while the process runs.
type Waited struct {
	Exit   *Exit `msgpack:"exit"`
	Output struct {
		Stdout []byte `msgpack:"stdout"`
		Stderr []byte `msgpack:"stderr"`
	} `msgpack:"output"`
}

// NodeInfo is a node's presence, and the value of info.
type NodeInfo struct {
	Node   string            `msgpack:"node"`
	NodeID string            `msgpack:"node_id"`
	BootID string            `msgpack:"boot_id"`
	State  string            `msgpack:"state"`
	Labels map[string]string `msgpack:"labels"`
}
