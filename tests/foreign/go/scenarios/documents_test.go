package scenarios

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// vector is one of protocol/vectors; which fields it has depends on its file.
type vector struct {
	Name    string
	Record  string
	JSON    Map
	Msgpack packed
	Digest  string
	Error   string
	Says    string
	Seed    string
	Signed  string
	Headers map[string]string
}

type packed []byte

func (p *packed) UnmarshalJSON(data []byte) (err error) {
	*p, err = hex.DecodeString(strings.Trim(string(data), `"`))
	return err
}

// header as NATS has it: keys stay as they are.
func (v vector) header() nats.Header {
	header := nats.Header{}
	for key, value := range v.Headers {
		header[key] = []string{value}
	}
	return header
}

// document is a file of the checkout; its folder is told by tests/foreign/kit.py.
func document(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(os.Getenv("WHARFSIDE_DOCUMENTS"), path))
	ok(t, err)
	return data
}

func vectors(t testing.TB, name string) (all []vector) {
	t.Helper()
	ok(t, json.Unmarshal(document(t, "protocol/vectors/"+name+".json"), &all))
	return all
}

// wellFormed are those of every file but one.
func wellFormed(t testing.TB) (all []vector) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(os.Getenv("WHARFSIDE_DOCUMENTS"), "protocol/vectors/*.json"))
	ok(t, err)
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); name != "malformed" {
			all = append(all, vectors(t, name)...)
		}
	}
	return all
}
