package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

//go:embed data
var data embed.FS

// Names of the embedded documents; gen writes them.
const (
	IndexFile   = "index.json"
	V2JSONFile  = "v2.json.gz"
	V2ProtoFile = "v2.pb.gz"
)

// Index lists the embedded documents with the hash of each one's JSON form.
type Index struct {
	V2 string `json:"v2"`
	// V3 maps "api/v1", "apis/apps/v1" ... to a hash.
	V3 map[string]string `json:"v3"`
}

// V3File is the embedded name of a group version's v3 document.
func V3File(group string) string {
	return "v3-" + strings.ReplaceAll(group, "/", "_") + ".json.gz"
}

// Hash is the ETag of a document, as kube-openapi computes it.
func Hash(doc []byte) string {
	return fmt.Sprintf("%X", sha512.Sum512(doc))
}

func readIndex() (Index, error) {
	var index Index
	raw, err := data.ReadFile("data/" + IndexFile)
	if err != nil {
		return index, err
	}
	return index, json.Unmarshal(raw, &index)
}

// readGzip returns the embedded document, decompressed.
func readGzip(name string) ([]byte, error) {
	raw, err := data.ReadFile("data/" + name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return io.ReadAll(r)
}
