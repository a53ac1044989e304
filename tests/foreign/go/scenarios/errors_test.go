package scenarios

import (
	"errors"
	"strings"
	"testing"
	"time"

	"foreign/wharfside"
)

func TestErrors(t *testing.T) {
	w := enter(t)
	w.refuses("what is not there", "not-found", wharfside.Command{Op: "inspect", Args: Map{"container": "nobody"}})
	w.refuses("an unknown op", "unsupported", wharfside.Command{Op: "levitate"})
	w.refuses("another version", "unsupported", wharfside.Command{Op: "ping", V: 2})
	w.run("a command for another node", (*world).misdirected)
	w.run("a field of the wrong type, by its name", func(w *world) {
		told := refused(w, "invalid", w.Call(w.ctx, w.node, "list", Map{"limit": "many"}, nil))
		that(w, strings.Contains(told.Message, "limit"), told)
	})
	w.run("a field that nobody knows is no error", func(w *world) {
		w.must(w.node, "ping", Map{"zone": 1}, nil)
	})
	w.run("a deadline that is over", (*world).late)
	w.run("a state that does not allow it, and which it is", (*world).wrongState)
	w.run("a fence", (*world).fenced)
	w.run("the runtime's own words", (*world).runtimeFails)
	w.run("a viewer may not: the server lets nothing through", (*world).viewerMayNot)
}

func (w *world) refuses(what, code string, command wharfside.Command) {
	w.run(what, func(w *world) {
		command.Node = w.node
		result, err := w.Request(w.ctx, command)
		ok(w, err)
		refused(w, code, result.Into(nil))
	})
}

func (w *world) misdirected() {
	payload, err := wharfside.Encode(wharfside.Command{ID: wharfside.NewID(), Op: "ping", Node: "elsewhere"})
	ok(w, err)
	result, _, err := w.Raw(w.ctx, w.node, "ping", payload, nil)
	ok(w, err)
	refused(w, "invalid", result.Into(nil))
}

func (w *world) late() {
	name := newName()
	ago := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339Nano)
	args := w.container(name, "true")
	result, err := w.Request(w.ctx, wharfside.Command{Op: "run", Node: w.node, Args: args, Deadline: ago})
	ok(w, err)
	refused(w, "deadline-exceeded", result.Into(nil))
	refused(w, "not-found", w.Call(w.ctx, w.node, "inspect", Map{"container": name}, nil))
}

func (w *world) wrongState() {
	name := newName()
	w.must(w.node, "create", w.container(name, "true"), nil)
	told := refused(w, "wrong-state", w.Call(w.ctx, w.node, "pause", Map{"container": name}, nil))
	equal(w, told.Details["state"], "created")
	refused(w, "already-exists", w.Call(w.ctx, w.node, "create", w.container(name, "true"), nil))
	w.remove(w.node, name)
}

func (w *world) fenced() {
	name := newName()
	var made wharfside.State
	w.must(w.node, "run", w.container(name, "sleep 1000"), &made)
	later := made.Revision + 1
	command := wharfside.Command{Op: "delete", Node: w.node, Args: Map{"container": name, "force": true}}
	command.Expect = &wharfside.Fence{Incarnation: &made.Incarnation, Revision: &later}
	result, err := w.Request(w.ctx, command)
	ok(w, err)
	refused(w, "stale", result.Into(nil))
	command.Expect.Revision = &made.Revision
	result, err = w.Request(w.ctx, command)
	ok(w, err)
	ok(w, result.Into(nil))
}

func (w *world) runtimeFails() {
	name := newName()
	args := w.container(name, "", Map{"process": Map{"args": []string{"/no/such/program"}}})
	told := refused(w, "runtime-failed", w.Call(w.ctx, w.node, "run", args, nil))
	that(w, strings.Contains(told.Message, "no/such/program"), told)
	_, err := w.Request(w.ctx, wharfside.Command{Op: "delete", Node: w.node, Args: Map{"container": name, "force": true}})
	ok(w, err)
}

func (w *world) viewerMayNot() {
	eyes := w.open("eyes", wharfside.Options{})
	err := eyes.Call(w.ctx, w.node, "run", w.container(newName(), "true"), nil)
	that(w, errors.Is(err, wharfside.ErrDenied), err)
}
