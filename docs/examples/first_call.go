// Asks a node for its clock: go run first_call.go NODE, with NATS_URL, NATS_NKEY (the file of a seed)
// and WHARFSIDE_PEER (the user's name) in the environment.
package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

func main() {
	node, user := os.Args[1], os.Getenv("WHARFSIDE_PEER")
	seed, err := nats.NkeyOptionFromSeed(os.Getenv("NATS_NKEY"))
	check(err)
	bus, err := nats.Connect(os.Getenv("NATS_URL"), seed, nats.CustomInboxPrefix("_INBOX."+user))
	check(err)
	defer bus.Close()

	id := make([]byte, 16)
	_, err = rand.Read(id)
	check(err)
	command, err := msgpack.Marshal(map[string]any{"id": fmt.Sprintf("%x", id), "op": "ping", "node": node})
	check(err)
	answer, err := bus.Request("wharfside.v1.rpc."+node+".ping", command, 5*time.Second)
	check(err) // nats.ErrNoResponders: the node is away
	var result struct {
		OK    bool           `msgpack:"ok"`
		Value map[string]any `msgpack:"value"`
		Error map[string]any `msgpack:"error"`
	}
	check(msgpack.Unmarshal(answer.Data, &result))
	if !result.OK {
		log.Fatalf("%s: %s", result.Error["code"], result.Error["message"])
	}
	fmt.Println(result.Value["node"], "is there, at", result.Value["at"])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
