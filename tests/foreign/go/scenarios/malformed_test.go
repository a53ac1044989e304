package scenarios

import (
	"strings"
	"testing"

	"foreign/wharfside"
)

func TestMalformed(t *testing.T) {
	w := enter(t)
	w.run("the node tells what is wrong with each malformed command, and lives on", func(w *world) {
		for _, each := range vectors(w, "malformed") {
			result, _, err := w.Raw(w.ctx, w.node, "ping", each.Msgpack, nil)
			ok(w, err)
			told := refused(w, each.Error, result.Into(nil))
			that(w, strings.Contains(told.Message, each.Says), each.Name, told)
		}
		w.must(w.node, "ping", nil, nil)
	})
	w.run("in the mailbox, too: where the id can be read, a result tells why", func(w *world) {
		id := wharfside.NewID()
		payload, err := wharfside.Encode(Map{"id": id, "op": "run", "node": w.node, "args": 7})
		ok(w, err)
		_, err = w.Mail(w.ctx, w.node, "run", id, payload)
		ok(w, err)
		refused(w, "invalid", w.result(id).Into(nil))
	})
}
