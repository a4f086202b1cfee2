package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure a Store. The zero value is usable.
type Options struct {
	// Logger receives what the store and Pebble have to say; nil discards it.
	Logger *slog.Logger
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// HistoryBytes and HistoryAge bound the history that is kept for watches
	// from the past and reads at a revision. Zero selects 1 GiB and 24 hours.
	HistoryBytes int64
	HistoryAge   time.Duration
	// BallastBytes is the size of a file that is given up when the disk is full; 0 is
	// none.
	BallastBytes int64
	// AcceptLoss opens a store in which acknowledged writes are missing.
	AcceptLoss bool
	// Encryption says what is encrypted on disk; nil is nothing.
	Encryption *Encryption
	// BookmarkInterval is the time between bookmarks on an idle watch that
	// allows them (default one minute); ProgressInterval the same for watches
	// with ListOptions.ProgressNotify (default five seconds).
	BookmarkInterval time.Duration
	ProgressInterval time.Duration
	// PageLife is how long a list may at least be continued as it was at its first
	// page, if something was written since (default five minutes); at most it is a
	// fifth more. Reads at an exact revision are not bound by it.
	PageLife time.Duration
	// ExpiryInterval is how often objects with a time to live are looked
	// through (default one second).
	ExpiryInterval time.Duration
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.BookmarkInterval == 0 {
		o.BookmarkInterval = time.Minute
	}
	if o.ProgressInterval == 0 {
		o.ProgressInterval = 5 * time.Second
	}
	if o.PageLife == 0 {
		o.PageLife = 5 * time.Minute
	}
	if o.ExpiryInterval == 0 {
		o.ExpiryInterval = time.Second
	}
}

// ResourceConfig describes the objects below one key prefix.
type ResourceConfig struct {
	// Prefix of the keys, such as "/pods".
	Prefix string
	// GroupResource appears in errors and logs.
	GroupResource schema.GroupResource
	// Codec decodes stored bytes to the hub type and encodes the hub type to
	// the stored form. It must be safe for concurrent use.
	Codec runtime.Codec
	// Encodings lets EncodedObject and EncodedList write stored bytes.
	Encodings Encodings
	// Default fills in what Codec would when it decodes; nil if it adds nothing or
	// if that is not known.
	Default func(runtime.Object)
	// NewFunc and NewListFunc make empty objects of the hub type.
	NewFunc, NewListFunc func() runtime.Object
	// Transformer encrypts what is written; nil does as Options.Encryption says.
	Transformer value.Transformer
	// Indexers, keyed as storage.FieldIndex and storage.LabelIndex name them,
	// let a watch whose predicate demands one value of such an index sleep
	// through the events of all other values (pods by spec.nodeName).
	Indexers storage.IndexerFuncs
}

func (c *ResourceConfig) validate() error {
	switch {
	case !strings.HasPrefix(c.Prefix, "/") || strings.Trim(c.Prefix, "/") == "":
		return errors.New("resource prefix must start with / and name something")
	case c.Codec == nil:
		return errors.New("resource needs a codec")
	case c.NewFunc == nil || c.NewListFunc == nil:
		return errors.New("resource needs NewFunc and NewListFunc")
	}
	return nil
}

// delivery is the form in which a watch hands out objects.
type delivery int

const (
	// The zero value: every watch gets shallow copies of its own.
	_ delivery = iota
	// deliverShared: the pointers of the index.
	deliverShared
	// deliverEncodings: a runtime.CacheableObject shared by all watches.
	deliverEncodings
)

type deliveryKey struct{}

// WithSharedObjects marks a context so that Watch delivers the pointers of the
// index itself, as ObjectList does for GetList. The receiver must never change
// what it gets. Meant for informers inside the process.
func WithSharedObjects(ctx context.Context) context.Context {
	return context.WithValue(ctx, deliveryKey{}, deliverShared)
}

// WithSharedEncodings marks a context so that Watch delivers objects as a
// runtime.CacheableObject, by which all watches that send an event in the same
// form encode it once, from stored bytes where possible. Meant for the HTTP server.
func WithSharedEncodings(ctx context.Context) context.Context {
	return context.WithValue(ctx, deliveryKey{}, deliverEncodings)
}

// SharesEncodings reports whether a context was marked by WithSharedEncodings.
func SharesEncodings(ctx context.Context) bool { return deliveryOf(ctx) == deliverEncodings }

func deliveryOf(ctx context.Context) delivery {
	d, _ := ctx.Value(deliveryKey{}).(delivery)
	return d
}
