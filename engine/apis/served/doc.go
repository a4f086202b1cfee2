// Package served assembles what the API server serves: the one visible list of
// kinds (Table), the scheme that knows their types (Scheme) and the codecs over
// it (Codecs). The hub type of a kind is its external Go type, registered a second
// time as the group's internal version, so upstream's handlers convert by
// identity. It holds no state beyond these three values, which are built once and
// are read-only afterwards; it never touches the store.
package served
