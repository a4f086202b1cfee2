package admission

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// Twenty answers without an end took a gigabyte in two seconds.
func TestAnswersEnd(t *testing.T) {
	for size, want := range map[int]error{10: nil, longestAnswer + 1: errLongAnswer} {
		body := &boundedBody{io.NopCloser(bytes.NewReader(make([]byte, size))), longestAnswer}
		got, err := io.ReadAll(body)
		if !errors.Is(err, want) || len(got) > longestAnswer {
			t.Errorf("%d bytes: read %d, %v, want %v", size, len(got), err, want)
		}
	}
}
