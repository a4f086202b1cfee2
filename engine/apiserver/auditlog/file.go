package auditlog

import (
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
)

// file writes one line of JSON per event, as upstream's log does. Events without
// bodies, which are nearly all, are encoded by hand: upstream's codec costs several
// times as much as the rest of auditing.
type file struct {
	out   io.Writer
	codec runtime.Encoder
	lines sync.Pool // *[]byte
}

var _ audit.Backend = (*file)(nil)

func newFile(out io.Writer) *file {
	return &file{
		out: out, codec: audit.Codecs.LegacyCodec(auditv1.SchemeGroupVersion),
		lines: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// String names the backend in metrics.
func (*file) String() string { return "log" }

// Run implements audit.Backend.
func (*file) Run(<-chan struct{}) error { return nil }

// Shutdown implements audit.Backend; every event was written when it happened.
func (*file) Shutdown() {}

// ProcessEvents implements audit.Backend. An event that cannot be written is counted
// and logged, and its request goes on.
func (f *file) ProcessEvents(events ...*auditinternal.Event) bool {
	for _, event := range events {
		if err := f.write(event); err != nil {
			audit.HandlePluginError("log", err, event)
		}
	}
	return true
}

func (f *file) write(event *auditinternal.Event) error {
	line := f.lines.Get().(*[]byte)
	defer f.lines.Put(line)
	var err error
	if *line, err = f.append((*line)[:0], event); err != nil {
		return err
	}
	_, err = f.out.Write(*line)
	return err
}

func (f *file) append(line []byte, event *auditinternal.Event) ([]byte, error) {
	if event.RequestObject == nil && event.ResponseObject == nil {
		return appendEvent(line, event)
	}
	data, err := runtime.Encode(f.codec, event)
	return append(line, data...), err
}
