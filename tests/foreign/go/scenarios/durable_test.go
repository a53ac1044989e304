package scenarios

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"foreign/wharfside"
)

func TestDurable(t *testing.T) {
	w := enter(t)
	w.run("a durable command is accepted, run, and its result kept", (*world).mailed)
	w.run("sent twice it is one, over both ways", (*world).mailedTwice)
	w.run("an id that was used for another command shows by its digest", (*world).usedBefore)
	w.run("its error is a result, too", func(w *world) {
		result := w.result(w.send("start", Map{"container": "nobody"}))
		refused(w, "not-found", result.Into(nil))
	})
	w.run("an op that changes nothing has no business there", func(w *world) {
		refused(w, "unsupported", w.result(w.send("ping", Map{})).Into(nil))
	})
}

func (w *world) send(op string, args Map) (id string) {
	w.Helper()
	id, _, err := w.Send(w.ctx, wharfside.Command{Op: op, Node: w.node, Args: args})
	ok(w, err)
	return id
}

func (w *world) result(id string) wharfside.Result {
	w.Helper()
	result, err := w.Result(w.ctx, w.node, id)
	ok(w, err)
	return result
}

func (w *world) mailed() {
	name := newName()
	args := w.container(name, "sleep 1000", Map{"grace_s": 1.0})
	id := w.send("run", args)
	accepted, err := w.Accepted(w.ctx, w.node, id)
	ok(w, err)
	result := w.result(id)
	var made wharfside.State
	ok(w, result.Into(&made))
	equal(w, []string{accepted.Op, made.Container}, []string{"run", name})
	digest, err := wharfside.Digest("run", args)
	ok(w, err)
	equal(w, []string{accepted.Digest, result.Digest}, []string{digest, digest})
	w.remove(w.node, name)
}

func (w *world) mailedTwice() {
	name := newName()
	command := wharfside.Command{Op: "run", Node: w.node, Args: w.container(name, "sleep 1000")}
	id, duplicate, err := w.Send(w.ctx, command)
	ok(w, err)
	that(w, !duplicate)
	command.ID = id
	_, duplicate, err = w.Send(w.ctx, command)
	ok(w, err)
	that(w, duplicate)
	result := w.result(id)
	asked, err := w.Request(w.ctx, command)
	ok(w, err)
	that(w, asked.Replayed)
	same(w, asked, result)
	w.remove(w.node, name)
}

func (w *world) usedBefore() {
	name := newName()
	id := w.send("run", w.container(name, "sleep 1000"))
	mine := w.result(id)
	other := wharfside.Command{ID: id, Op: "run", Node: w.node, Args: w.container(name, "sleep 7")}
	_, _, err := w.Send(w.ctx, other)
	ok(w, err)
	asked, err := w.Request(w.ctx, other)
	ok(w, err)
	refused(w, "conflict", asked.Into(nil))
	digest, err := wharfside.Digest(other.Op, other.Args)
	ok(w, err)
	equal(w, w.result(id).Digest, mine.Digest)
	that(w, digest != mine.Digest)
	w.remove(w.node, name)
}

// errand is told by tests/foreign/test_orchestrator.py: a command that one life of the orchestrator
// sends, and the next one reads of.
func (w *world) errand() wharfside.Command {
	var told struct{ ID, Name string }
	ok(w, json.Unmarshal([]byte(os.Getenv("WHARFSIDE_ERRAND")), &told))
	return wharfside.Command{ID: told.ID, Op: "run", Node: w.other, Args: w.container(told.Name, "sleep 1000")}
}

func TestAwaySend(t *testing.T) {
	w := enter(t)
	nodes, err := w.Presences(w.ctx)
	ok(w, err)
	equal(w, nodes[w.other].State, "down")
	err = w.Call(w.ctx, w.other, "ping", nil, nil)
	that(w, errors.Is(err, wharfside.ErrNodeAway), err)
	_, _, err = w.Send(w.ctx, w.errand())
	ok(w, err)
}

func TestAwayRead(t *testing.T) {
	w := enter(t)
	command := w.errand()
	result, err := w.Result(w.ctx, w.other, command.ID)
	ok(w, err)
	var made wharfside.State
	ok(w, result.Into(&made))
	again, err := w.Request(w.ctx, command)
	ok(w, err)
	that(w, again.Replayed)
	same(w, again, result)
	w.remove(w.other, made.Container)
}
