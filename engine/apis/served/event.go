package served

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// addEventConversions joins core/v1 Event (the hub) and events.k8s.io/v1 Event:
// the same fields under other names.
func addEventConversions(s *runtime.Scheme) error {
	return addPair(s, eventFromV1, eventToV1,
		func(in *eventsv1.EventList, out *corev1.EventList) error {
			out.ListMeta = in.ListMeta
			out.Items = make([]corev1.Event, len(in.Items))
			return convertEach(in.Items, out.Items, eventFromV1)
		},
		func(in *corev1.EventList, out *eventsv1.EventList) error {
			out.ListMeta = in.ListMeta
			out.Items = make([]eventsv1.Event, len(in.Items))
			return convertEach(in.Items, out.Items, eventToV1)
		})
}

func eventFromV1(in *eventsv1.Event, out *corev1.Event) error {
	*out = corev1.Event{
		ObjectMeta: in.ObjectMeta, InvolvedObject: in.Regarding, Reason: in.Reason, Message: in.Note,
		Source: in.DeprecatedSource, FirstTimestamp: in.DeprecatedFirstTimestamp, LastTimestamp: in.DeprecatedLastTimestamp,
		Count: in.DeprecatedCount, Type: in.Type, EventTime: in.EventTime, Action: in.Action, Related: in.Related,
		ReportingController: in.ReportingController, ReportingInstance: in.ReportingInstance,
	}
	if in.Series != nil {
		out.Series = &corev1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
	return nil
}

func eventToV1(in *corev1.Event, out *eventsv1.Event) error {
	*out = eventsv1.Event{
		ObjectMeta: in.ObjectMeta, Regarding: in.InvolvedObject, Reason: in.Reason, Note: in.Message,
		DeprecatedSource: in.Source, DeprecatedFirstTimestamp: in.FirstTimestamp, DeprecatedLastTimestamp: in.LastTimestamp,
		DeprecatedCount: in.Count, Type: in.Type, EventTime: in.EventTime, Action: in.Action, Related: in.Related,
		ReportingController: in.ReportingController, ReportingInstance: in.ReportingInstance,
	}
	if in.Series != nil {
		out.Series = &eventsv1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
	return nil
}

// addPair registers the four conversions of a kind with a second version: item
// and list, each way.
func addPair[A, B, AL, BL any](s *runtime.Scheme, to func(*A, *B) error, from func(*B, *A) error, listTo func(*AL, *BL) error, listFrom func(*BL, *AL) error) error {
	for _, err := range []error{addConversion(s, to), addConversion(s, from), addConversion(s, listTo), addConversion(s, listFrom)} {
		if err != nil {
			return err
		}
	}
	return nil
}

func addConversion[A, B any](s *runtime.Scheme, f func(*A, *B) error) error {
	return s.AddConversionFunc((*A)(nil), (*B)(nil), func(a, b any, _ conversion.Scope) error {
		return f(any(a).(*A), any(b).(*B))
	})
}

func convertEach[A, B any](in []A, out []B, f func(*A, *B) error) error {
	for i := range in {
		if err := f(&in[i], &out[i]); err != nil {
			return err
		}
	}
	return nil
}
