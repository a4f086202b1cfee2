package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
)

type simpleCase struct {
	name string
	run  func(context.Context, *testing.T, storage.Interface)
}

func runCases(t *testing.T, open Open, cases []simpleCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t.Context(), t, newFixture(t, open)) })
	}
}

func runWrite(t *testing.T, open Open) {
	runCases(t, open, []simpleCase{
		{"CreateWithTTL", storagetesting.RunTestCreateWithTTL},
		{"CreateWithKeyExist", storagetesting.RunTestCreateWithKeyExist},
		{"UnconditionalDelete", storagetesting.RunTestUnconditionalDelete},
		{"ConditionalDelete", storagetesting.RunTestConditionalDelete},
		{"DeleteWithSuggestion", storagetesting.RunTestDeleteWithSuggestion},
		{"DeleteWithSuggestionAndConflict", storagetesting.RunTestDeleteWithSuggestionAndConflict},
		{"DeleteWithConflict", storagetesting.RunTestDeleteWithConflict},
		{"DeleteWithSuggestionOfDeletedObject", storagetesting.RunTestDeleteWithSuggestionOfDeletedObject},
		{"ValidateDeletionWithSuggestion", storagetesting.RunTestValidateDeletionWithSuggestion},
		{"ValidateDeletionWithOnlySuggestionValid", storagetesting.RunTestValidateDeletionWithOnlySuggestionValid},
		{"PreconditionalDeleteWithSuggestion", storagetesting.RunTestPreconditionalDeleteWithSuggestion},
		{"PreconditionalDeleteWithOnlySuggestionPass", storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass},
		{"GuaranteedUpdateWithTTL", storagetesting.RunTestGuaranteedUpdateWithTTL},
		{"GuaranteedUpdateWithConflict", storagetesting.RunTestGuaranteedUpdateWithConflict},
		{"GuaranteedUpdateWithSuggestionAndConflict", storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict},
		{"KeySchema", storagetesting.RunTestKeySchema},
	})
	t.Run("Create", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestCreate(t.Context(), t, f, f.checkStored)
	})
	t.Run("GuaranteedUpdate", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestGuaranteedUpdate(t.Context(), t, f, f.checkStored)
	})
	t.Run("GuaranteedUpdateChecksStoredData", func(t *testing.T) {
		storagetesting.RunTestGuaranteedUpdateChecksStoredData(t.Context(), t, newFixture(t, open))
	})
}

// runUnreadable covers objects whose bytes cannot be transformed or decoded.
func runUnreadable(t *testing.T, open Open) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, true)
	t.Run("TransformationFailure", func(t *testing.T) {
		storagetesting.RunTestTransformationFailure(t.Context(), t, newFixture(t, open))
	})
	t.Run("DeleteWithConflictAndMissingExpectedError", func(t *testing.T) {
		f, fail := newFailingCodec(t, open)
		storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(t.Context(), t, f, fail)
	})
	t.Run("DeleteExpectedDecodeError", func(t *testing.T) {
		f, fail := newFailingCodec(t, open)
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(t.Context(), t, f, fail)
	})
	t.Run("DeleteExpectedTransformError", func(t *testing.T) {
		f, fail := newFailingTransformer(t, open)
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(t.Context(), t, f, fail)
	})
	t.Run("DeleteWithSuggestionAndMissingExpectedError", func(t *testing.T) {
		storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(t.Context(), t, newFixture(t, open))
	})
	t.Run("GetListWithoutErrorAggregation", func(t *testing.T) {
		featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, false)
		storagetesting.RunTestGetListWithoutErrorAggregation(t.Context(), t, newFixture(t, open), errors.New("bits flipped"))
	})
	t.Run("GetListWithErrorAggregation", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestGetListWithErrorAggregation(t.Context(), t, f, f.Corrupt(errors.New("bits flipped")))
	})
	t.Run("WatchWithUnsafeDelete", func(t *testing.T) {
		storagetesting.RunTestWatchWithUnsafeDelete(t.Context(), t, newFixture(t, open), errors.New("bits flipped"))
	})
	t.Run("WatchError", func(t *testing.T) {
		storagetesting.RunTestWatchError(t.Context(), t, newFixture(t, open))
	})
	t.Run("WatchErrorIsBlockingFurtherEvents", func(t *testing.T) {
		storagetesting.RunWatchErrorIsBlockingFurtherEvents(t.Context(), t, newFixture(t, open))
	})
}

func runRead(t *testing.T, open Open) {
	runCases(t, open, []simpleCase{
		{"Get", storagetesting.RunTestGet},
		{"GetListRecursivePrefix", storagetesting.RunTestGetListRecursivePrefix},
		{"ListPaging", storagetesting.RunTestListPaging},
		{"NamespaceScopedList", storagetesting.RunTestNamespaceScopedList},
	})
	t.Run("List", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestList(t.Context(), t, f, f.Compact, false, nil)
	})
	t.Run("ConsistentList", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestConsistentList(t.Context(), t, f, f.IncreaseRV, false, true, false)
	})
	t.Run("GetListNonRecursive", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestGetListNonRecursive(t.Context(), t, f.IncreaseRV, f)
	})
	t.Run("ListContinuation", func(t *testing.T) {
		storagetesting.RunTestListContinuation(t.Context(), t, newFixture(t, open), anyCalls)
	})
	t.Run("ListPaginationRareObject", func(t *testing.T) {
		storagetesting.RunTestListPaginationRareObject(t.Context(), t, newFixture(t, open), anyCalls)
	})
	t.Run("ListContinuationWithFilter", func(t *testing.T) {
		storagetesting.RunTestListContinuationWithFilter(t.Context(), t, newFixture(t, open), anyCalls)
	})
	t.Run("ListInconsistentContinuation", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestListInconsistentContinuation(t.Context(), t, f, f.Compact)
	})
	t.Run("ListResourceVersionMatch", func(t *testing.T) {
		storagetesting.RunTestListResourceVersionMatch(t.Context(), t, newFixture(t, open))
	})
	t.Run("CompactRevision", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestCompactRevision(t.Context(), t, f, f.IncreaseRV, f.Compact)
	})
	t.Run("Stats", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestStats(t.Context(), t, f, f.cfg.Codec, f.transformer, false)
	})
	t.Run("StatsWithSizes", func(t *testing.T) {
		f := newFixture(t, open)
		keys := func(context.Context) ([]string, error) { return nil, nil }
		if err := f.EnableResourceSizeEstimation(keys); err != nil {
			t.Fatal(err)
		}
		storagetesting.RunTestStats(t.Context(), t, f, f.cfg.Codec, f.transformer, true)
	})
}

func runWatch(t *testing.T, open Open) {
	runCases(t, open, []simpleCase{
		{"Watch", storagetesting.RunTestWatch},
		{"ClusterScopedWatch", storagetesting.RunTestClusterScopedWatch},
		{"NamespaceScopedWatch", storagetesting.RunTestNamespaceScopedWatch},
		{"DeleteTriggerWatch", storagetesting.RunTestDeleteTriggerWatch},
		{"WatchFromNonZero", storagetesting.RunTestWatchFromNonZero},
		{"DelayedWatchDelivery", storagetesting.RunTestDelayedWatchDelivery},
		{"WatchContextCancel", storagetesting.RunTestWatchContextCancel},
		{"WatcherTimeout", storagetesting.RunTestWatcherTimeout},
		{"WatchDeleteEventObjectHaveLatestRV", storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV},
		{"WatchInitializationSignal", storagetesting.RunTestWatchInitializationSignal},
		{"SendInitialEventsBackwardCompatibility", storagetesting.RunSendInitialEventsBackwardCompatibility},
		{"WatchSemantics", storagetesting.RunWatchSemantics},
		{"WatchSemanticInitialEventsExtended", storagetesting.RunWatchSemanticInitialEventsExtended},
		{"WatchListMatchSingle", storagetesting.RunWatchListMatchSingle},
		{"BookmarksWithCorrectResourceVersion", storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion},
	})
	t.Run("DispatchBookmarkEvents", func(t *testing.T) {
		storagetesting.RunTestWatchDispatchBookmarkEvents(t.Context(), t, newFixture(t, open), true)
	})
	t.Run("WatchFromZero", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunTestWatchFromZero(t.Context(), t, f, f.Compact)
	})
	t.Run("ProgressNotify", func(t *testing.T) {
		f := newFixture(t, open)
		storagetesting.RunOptionalTestProgressNotify(t.Context(), t, f, f.IncreaseRV)
	})
}

var errSynthetic = errors.New("synthetic error")

type failingCodec struct {
	runtime.Codec
	fail atomic.Bool
}

func (c *failingCodec) Decode(data []byte, gvk *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if c.fail.Load() {
		return nil, nil, errSynthetic
	}
	return c.Codec.Decode(data, gvk, into)
}

func newFailingCodec(t *testing.T, open Open) (*Backend, func(bool)) {
	cfg := DefaultConfig(t)
	codec := &failingCodec{Codec: cfg.Codec}
	cfg.Codec = codec
	b := open(t, cfg)
	return b, func(fail bool) {
		codec.fail.Store(fail)
		b.Reload()
	}
}

type failingTransformer struct {
	value.Transformer
	fail atomic.Bool
}

func (f *failingTransformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	if f.fail.Load() {
		return nil, false, errSynthetic
	}
	return f.Transformer.TransformFromStorage(ctx, data, dataCtx)
}

func newFailingTransformer(t *testing.T, open Open) (*Backend, func(bool)) {
	cfg := DefaultConfig(t)
	transformer := &failingTransformer{Transformer: cfg.Transformer}
	cfg.Transformer = transformer
	b := open(t, cfg)
	return b, func(fail bool) {
		transformer.fail.Store(fail)
		b.Reload()
	}
}
