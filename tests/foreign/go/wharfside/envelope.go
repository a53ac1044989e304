package wharfside

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Command is what a node is asked. Args is a Map, or a struct with tags of msgpack.
type Command struct {
	ID       string `msgpack:"id"`
	Op       string `msgpack:"op"`
	Node     string `msgpack:"node"`
	V        int    `msgpack:"v,omitempty"`
	Deadline string `msgpack:"deadline,omitempty"`
	Expect   *Fence `msgpack:"expect,omitempty"`
	Actor    string `msgpack:"actor,omitempty"`
	Args     any    `msgpack:"args"`
}

// Fence is what a command expects of its container; what is nil may be anything.
type Fence struct {
	Incarnation *string `msgpack:"incarnation,omitempty"`
	Run         *int64  `msgpack:"run,omitempty"`
	Revision    *int64  `msgpack:"revision,omitempty"`
}

// Result is the answer to a Command: Value where OK, else Error.
type Result struct {
	ID       string             `msgpack:"id"`
	Op       string             `msgpack:"op"`
	Node     string             `msgpack:"node"`
	OK       bool               `msgpack:"ok"`
	Value    msgpack.RawMessage `msgpack:"value"`
	Error    *Error             `msgpack:"error"`
	Replayed bool               `msgpack:"replayed"`
	Digest   string             `msgpack:"digest"`
}

// Into decodes the value into v, which may be nil. It returns an *Error where the node told one.
func (r Result) Into(v any) error {
	if !r.OK {
		return r.Error
	}
	if v == nil || len(r.Value) == 0 {
		return nil
	}
	return Unmarshal(r.Value, v)
}

// Error is what a node answered instead of a value. Decide by Code alone.
type Error struct {
	Code    string `msgpack:"code"`
	Message string `msgpack:"message"`
	Stage   string `msgpack:"stage"`
	Details Map    `msgpack:"details"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// Accepted says that a durable command is in the node's store.
type Accepted struct {
	ID     string `msgpack:"id"`
	Op     string `msgpack:"op"`
	Node   string `msgpack:"node"`
	Digest string `msgpack:"digest"`
}

// Event is what happened on a node; Data holds the facts of its Type.
type Event struct {
	EventID     string             `msgpack:"event_id"`
	Node        string             `msgpack:"node"`
	Epoch       int64              `msgpack:"epoch"`
	Seq         int64              `msgpack:"seq"`
	PrevSeq     *int64             `msgpack:"prev_seq"`
	Container   string             `msgpack:"container"`
	Incarnation string             `msgpack:"incarnation"`
	Run         int64              `msgpack:"run"`
	Revision    int64              `msgpack:"revision"`
	Process     string             `msgpack:"process"`
	Type        string             `msgpack:"type"`
	OccurredAt  string             `msgpack:"occurred_at"`
	Replayed    bool               `msgpack:"replayed"`
	Cause       string             `msgpack:"cause"`
	Data        msgpack.RawMessage `msgpack:"data"`
}
