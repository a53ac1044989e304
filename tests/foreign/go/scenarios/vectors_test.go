package scenarios

import (
	"reflect"
	"testing"

	"foreign/wharfside"

	"github.com/nats-io/nkeys"
)

func TestVectors(t *testing.T) {
	forms := readSchemas(t)
	good := wellFormed(t)
	that(t, len(good) > 150, len(good))

	t.Run("bytes to JSON form", func(t *testing.T) {
		for _, each := range good {
			value, err := wharfside.Decode(each.Msgpack)
			ok(t, err)
			equal(t, toJSON(value), toJSON(each.JSON), each.Name)
		}
	})
	t.Run("JSON form to bytes to the same", func(t *testing.T) {
		for _, each := range good {
			payload := forms.payload(each.Record, each.JSON)
			data, err := wharfside.Encode(payload)
			ok(t, err)
			value, err := wharfside.Decode(data)
			ok(t, err)
			equal(t, toJSON(value), toJSON(each.JSON), each.Name)
		}
	})
	t.Run("what is bytes there is bytes here", func(t *testing.T) {
		for _, each := range vectors(t, "frames") {
			wanted, err := wharfside.Decode(each.Msgpack)
			ok(t, err)
			equal(t, any(forms.payload(each.Record, each.JSON)), any(wanted), each.Name)
		}
	})
	t.Run("every payload fits the schema of its record", func(t *testing.T) {
		for _, each := range good {
			value, err := wharfside.Decode(each.Msgpack)
			ok(t, err)
			equal(t, forms.fault(forms.of(each.Record), value), "", each.Name)
		}
	})
	t.Run("what is malformed does not decode, or does not fit", func(t *testing.T) {
		for _, each := range vectors(t, "malformed") {
			value, err := wharfside.Decode(each.Msgpack)
			that(t, err != nil || forms.fault(forms.of(each.Record), value) != "", each.Name)
		}
	})
}

// What the orchestrator has as a struct loses nothing on the way.
func TestEnvelopes(t *testing.T) {
	for _, each := range append(vectors(t, "commands"), vectors(t, "envelopes")...) {
		if each.Record != "Command" {
			continue
		}
		var command wharfside.Command
		ok(t, wharfside.Unmarshal(each.Msgpack, &command))
		data, err := wharfside.Encode(command)
		ok(t, err)
		value, err := wharfside.Decode(data)
		ok(t, err)
		equal(t, toJSON(value), toJSON(each.JSON), each.Name)
	}
	for _, each := range vectors(t, "results") {
		var result wharfside.Result
		ok(t, wharfside.Unmarshal(each.Msgpack, &result))
		equal(t, result.Into(nil) == nil, each.JSON["ok"], each.Name)
	}
}

func TestDigests(t *testing.T) {
	for _, each := range vectors(t, "commands") {
		digest, err := wharfside.Digest(each.JSON["op"].(string), each.JSON["args"])
		ok(t, err)
		equal(t, digest, each.Digest, each.Name)
	}
}

func TestSignatures(t *testing.T) {
	for _, each := range vectors(t, "signatures") {
		var command wharfside.Command
		ok(t, wharfside.Unmarshal(each.Msgpack, &command))
		at := each.Headers["Wharfside-Signed-At"]
		said, err := wharfside.Signed(command, at)
		ok(t, err)
		equal(t, said, each.Signed, each.Name)
		key, err := nkeys.FromSeed([]byte(each.Seed))
		ok(t, err)
		headers, err := wharfside.Sign(command, key, at)
		ok(t, err)
		that(t, reflect.DeepEqual(headers, each.header()), each.Name)
		ok(t, wharfside.Verify(command, headers))
		command.Node = "elsewhere"
		that(t, wharfside.Verify(command, headers) != nil, each.Name)
	}
}
