// Package scenarios is what the orchestrator does against real nodes, each test one scenario; and the
// vectors, which need none.
package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"foreign/wharfside"
)

// Map is short for it.
type Map = wharfside.Map

const bound = 110 * time.Second

// site is told by tests/foreign/kit.py.
type site struct {
	Servers string
	CA      string
	Nodes   []string
	Rootfs  string
	Users   map[string]string
}

// world is what a scenario works on: a connection as one user, and two nodes.
type world struct {
	*testing.T
	*wharfside.Fleet
	ctx   context.Context
	site  site
	node  string
	other string
}

// enter connects as `ops`; the scenario ends within a bound.
func enter(t *testing.T) *world {
	var told site
	ok(t, json.Unmarshal([]byte(os.Getenv("WHARFSIDE_SITE")), &told))
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	w := &world{T: t, ctx: ctx, site: told, node: told.Nodes[0], other: told.Nodes[1]}
	w.Fleet = w.open("ops", wharfside.Options{})
	return w
}

func (w *world) open(user string, options wharfside.Options) *wharfside.Fleet {
	w.Helper()
	options.Servers, options.CA = w.site.Servers, w.site.CA
	options.User, options.Credentials = user, w.site.Users[user]
	fleet, err := wharfside.Open(options)
	ok(w, err)
	w.Cleanup(func() { fleet.Conn.Close() })
	return fleet
}

// run is a part of a scenario, with failures of its own.
func (w *world) run(name string, part func(w *world)) {
	w.T.Run(name, func(t *testing.T) {
		inner := *w
		inner.T = t
		part(&inner)
	})
}

var numbers int64

func newName() string { return fmt.Sprintf("go-%d-%d", os.Getpid(), atomic.AddInt64(&numbers, 1)) }

// container gives the arguments of create and run for a shell's command.
func (w *world) container(name, script string, more ...Map) Map {
	args := Map{
		"container": name,
		"source":    Map{"rootfs": w.site.Rootfs},
		"process":   Map{"args": []string{"/bin/sh", "-c", script}},
	}
	for _, each := range more {
		for key, value := range each {
			args[key] = value
		}
	}
	return args
}

// made runs a container on the first node, and removes it behind the part.
func (w *world) made(script string, more ...Map) (string, wharfside.State) {
	w.Helper()
	name := newName()
	var state wharfside.State
	w.must(w.node, "run", w.container(name, script, more...), &state)
	w.Cleanup(func() { w.remove(w.node, name) })
	return name, state
}

// must calls, and ends the part where that fails.
func (w *world) must(node, op string, args, value any) {
	w.Helper()
	ok(w, w.Call(w.ctx, node, op, args, value))
}

func (w *world) remove(node, name string) {
	w.Helper()
	w.must(node, "delete", Map{"container": name, "force": true}, nil)
}

// refused is the node's error, which must have this code.
func refused(t testing.TB, code string, err error) *wharfside.Error {
	t.Helper()
	var told *wharfside.Error
	if !errors.As(err, &told) || told.Code != code {
		t.Fatalf("%v instead of %s", err, code)
	}
	return told
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func that(t testing.TB, holds bool, what ...any) {
	t.Helper()
	if !holds {
		t.Fatal(what...)
	}
}

func equal(t testing.TB, got, wanted any, of ...any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("%v instead of %v %v", got, wanted, of)
	}
}

// same: a stored result's value is the first one's.
func same(t testing.TB, got, wanted wharfside.Result) {
	t.Helper()
	that(t, bytes.Equal(got.Value, wanted.Value), got, wanted)
}
