package scenarios

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"foreign/wharfside"
)

func TestArchives(t *testing.T) {
	w := enter(t)
	name := newName()
	w.must(w.node, "create", w.container(name, "true"), nil)
	defer w.remove(w.node, name)
	w.run("a file goes in, and comes out the same", func(w *world) {
		text := strings.Repeat("grüße\n", 50_000)
		putting := w.attach("put-archive", Map{"container": name, "path": "/tmp"})
		ok(w, putting.Write(w.ctx, "archive", packedAs(w, "greeting", text)))
		ok(w, putting.EOF(w.ctx))
		w.rest(putting)
		came := w.rest(w.attach("get-archive", Map{"container": name, "path": "/tmp/greeting"}))
		header, content := unpacked(w, came.data)
		equal(w, header.Name, "greeting")
		that(w, content == text, len(content))
	})
	w.run("what is not there opens no session", func(w *world) {
		args := Map{"container": name, "path": "/no/such/file"}
		_, err := w.Attach(w.ctx, w.node, "get-archive", args, wharfside.SessionOptions{})
		refused(w, "not-found", err)
	})
}

func packedAs(t testing.TB, name, text string) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	ok(t, writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
	_, err := io.WriteString(writer, text)
	ok(t, err)
	ok(t, writer.Close())
	return archive.Bytes()
}

func unpacked(t testing.TB, archive []byte) (*tar.Header, string) {
	t.Helper()
	reader := tar.NewReader(bytes.NewReader(archive))
	header, err := reader.Next()
	ok(t, err)
	content, err := io.ReadAll(reader)
	ok(t, err)
	return header, string(content)
}
