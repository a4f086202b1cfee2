package command

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/store/archive"
)

// exportOnline copies the export of a running cluster to w, and reads along: what
// arrives must be complete.
func exportOnline(c *cli.Context, client rest.Interface, opts store.ExportOptions, w io.Writer) (*store.Transfer, error) {
	params := map[string]string{}
	if opts.Decrypt {
		params["decrypt"] = "true"
	}
	if opts.IncludeKeys {
		params["keys"] = "include"
	}
	started := time.Now()
	pipe, copied := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := copyStream(c.Context, client, "/export", params, io.MultiWriter(w, copied))
		copied.CloseWithError(err) // nil is the end
		done <- err
	}()
	t, err := tally(c.Context, pipe)
	pipe.CloseWithError(err)
	if err = errors.Join(<-done, err); err != nil {
		return nil, err
	}
	t.Took = time.Since(started)
	return t, nil
}

// tally reads an export to its end.
func tally(ctx context.Context, r io.Reader) (*store.Transfer, error) {
	in, err := archive.NewReader(r)
	if err != nil {
		return nil, err
	}
	t := &store.Transfer{Revision: in.Header.Revision, Keys: in.Header.Keys, KeysIncluded: len(in.Header.KeyFile) > 0}
	for ctx.Err() == nil {
		e, err := in.Next()
		if errors.Is(err, io.EOF) {
			t.SHA256 = in.SHA256()
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		t.Count(e)
	}
	return nil, ctx.Err()
}
