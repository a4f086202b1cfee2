package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// YAML refuses a document that is larger than limit once its aliases are written
// out. The libraries that decode it bound how often aliases are used, not what they
// stand for: a long text can be named by every second byte of a document. JSON, and
// YAML without anchors and aliases, is not looked into.
func YAML(doc []byte, limit int) error {
	if bytes.IndexByte(doc, '&') < 0 || bytes.IndexByte(doc, '*') < 0 || json.Valid(doc) {
		return nil
	}
	var root yaml.Node
	if err := yaml.Unmarshal(doc, &root); err != nil {
		return err
	}
	e := expansion{limit: limit, sizes: map[*yaml.Node]int{}}
	_, err := e.size(&root)
	return err
}

// expansion measures nodes; those with an anchor once only.
type expansion struct {
	limit int
	sizes map[*yaml.Node]int // by anchored node; measuring while it is being measured
}

const measuring = -1

var errItself = errors.New("yaml: an anchor contains an alias of itself")

// size is that of a node in JSON, roughly, or an error once it is over the limit.
func (e *expansion) size(n *yaml.Node) (int, error) {
	if n.Kind == yaml.AliasNode {
		return e.size(n.Alias)
	}
	if n.Anchor == "" {
		return e.measure(n)
	}
	if known, ok := e.sizes[n]; ok {
		if known == measuring {
			return 0, errItself
		}
		return known, nil
	}
	e.sizes[n] = measuring
	total, err := e.measure(n)
	e.sizes[n] = total
	return total, err
}

func (e *expansion) measure(n *yaml.Node) (int, error) {
	const quotes = 3 // with a comma
	total := len(n.Value) + quotes
	for _, child := range n.Content {
		size, err := e.size(child)
		if err != nil {
			return 0, err
		}
		if total += size; total > e.limit {
			return 0, fmt.Errorf("yaml: the document is larger than %d bytes once its aliases are written out", e.limit)
		}
	}
	return total, nil
}
