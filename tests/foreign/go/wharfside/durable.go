package wharfside

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Send lays a command into its node's mailbox, also while the node is away. It returns once the
// stream keeps it: the command's id, made up where it has none, and whether that was kept before.
func (f *Fleet) Send(ctx context.Context, command Command) (id string, duplicate bool, err error) {
	if command.ID == "" {
		command.ID = NewID()
	}
	payload, err := Encode(command)
	if err != nil {
		return command.ID, false, err
	}
	duplicate, err = f.Mail(ctx, command.Node, command.Op, command.ID, payload)
	return command.ID, duplicate, err
}

// Mail lays a payload there that the caller has made, whatever it says.
func (f *Fleet) Mail(ctx context.Context, node, op, id string, payload []byte) (duplicate bool, err error) {
	ctx, cancel := bounded(ctx, patience)
	defer cancel()
	stream, err := f.Conn.JetStream()
	if err != nil {
		return false, err
	}
	subject := fmt.Sprintf("%s.cmd.%s.%s", f.Prefix, node, op)
	ack, err := stream.Publish(subject, payload, nats.MsgId(node+"."+id), nats.Context(ctx))
	if err != nil {
		return false, err
	}
	return ack.Duplicate, nil
}

// Accepted waits until the node tells that the command is in its store.
func (f *Fleet) Accepted(ctx context.Context, node, id string) (Accepted, error) {
	var accepted Accepted
	err := f.told(ctx, node, id, "accepted", &accepted)
	return accepted, err
}

// Result waits until the node tells what became of the command.
func (f *Fleet) Result(ctx context.Context, node, id string) (Result, error) {
	var result Result
	err := f.told(ctx, node, id, "result", &result)
	return result, err
}

func (f *Fleet) told(ctx context.Context, node, id, what string, into any) error {
	subject := fmt.Sprintf("res.%s.%s.%s", node, id, what)
	kept, err := f.Newest(ctx, "WHARFSIDE_RES", f.Prefix+"."+subject, f.Prefix+".live."+subject, nil)
	if err != nil {
		return err
	}
	return kept.Into(into)
}
