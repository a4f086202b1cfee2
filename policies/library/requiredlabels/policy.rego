package k8srequiredlabels

# Objects must carry labels, each of whose values may have to match a pattern.
# parameters: {"message": string, "labels": [{"key": string, "allowedRegex": string}]}

violation contains {"msg": message, "details": {
	"field": sprintf("metadata.labels[%s]", [want.key]),
	"cure": sprintf("add the label %s", [want.key]),
}} if {
	some want in input.parameters.labels
	not present(want.key)
	message := object.get(input.parameters, "message", sprintf("label %s is missing", [want.key]))
}

violation contains {"msg": message, "details": {
	"field": sprintf("metadata.labels[%s]", [want.key]),
	"cure": sprintf("use a value that matches %s", [want.allowedRegex]),
}} if {
	some want in input.parameters.labels
	pattern := object.get(want, "allowedRegex", "")
	pattern != ""
	value := labels[want.key]
	not regex.match(pattern, value)
	message := sprintf("label %s has the value %q", [want.key, value])
}

labels := object.get(input.review.object.metadata, "labels", {})

present(key) if object.get(labels, key, "") != ""
