package wharfside

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	domain       = "wharfside-command-v1"
	keyHeader    = "Wharfside-Key"
	atHeader     = "Wharfside-Signed-At"
	signedHeader = "Wharfside-Signature"
)

// Digest is by what a node knows a command again, in lower case hex.
func Digest(op string, args any) (string, error) {
	if args == nil {
		args = Map{}
	}
	sent, err := Encode(args)
	if err != nil {
		return "", err
	}
	told, err := Decode(sent)
	if err != nil {
		return "", err
	}
	packed, err := Encode([]any{op, canonical(told)})
	sum := sha256.Sum256(packed)
	return hex.EncodeToString(sum[:]), err
}

// canonical is v without what is nil in maps, and with whole numbers as integers.
func canonical(v any) any {
	switch v := v.(type) {
	case Map:
		kept := Map{}
		for key, value := range v {
			if value != nil {
				kept[key] = canonical(value)
			}
		}
		return kept
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = canonical(item)
		}
		return list
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= mostExact {
			return int64(v)
		}
	}
	return v
}

// Signed is what is signed of a command.
func Signed(command Command, at string) (string, error) {
	digest, err := Digest(command.Op, command.Args)
	fence := command.Expect
	if fence == nil {
		fence = &Fence{}
	}
	incarnation := "-"
	if fence.Incarnation != nil {
		incarnation = *fence.Incarnation
	}
	fenced := strings.Join([]string{incarnation, number(fence.Run), number(fence.Revision)}, " ")
	lines := []string{domain, command.ID, command.Op, command.Node, at, command.Deadline, fenced, digest}
	return strings.Join(lines, "\n"), err
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// Sign gives the headers of a command that the key signs; at is RFC 3339 in UTC.
func Sign(command Command, key nkeys.KeyPair, at string) (nats.Header, error) {
	said, err := Signed(command, at)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign([]byte(said))
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	return nats.Header{
		keyHeader:    {public},
		atHeader:     {at},
		signedHeader: {base64.RawURLEncoding.EncodeToString(signature)},
	}, err
}

// Verify returns an error unless the headers are a signature over this command.
func Verify(command Command, headers nats.Header) error {
	said, err := Signed(command, headers.Get(atHeader))
	if err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(headers.Get(signedHeader))
	if err != nil {
		return err
	}
	key, err := nkeys.FromPublicKey(headers.Get(keyHeader))
	if err != nil {
		return err
	}
	return key.Verify([]byte(said), signature)
}
