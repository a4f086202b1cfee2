package k8srequiredlabels_test

import data.k8srequiredlabels

verdicts(labels, parameters) := result if {
	result := k8srequiredlabels.violation with input as {
		"parameters": parameters,
		"review": {"object": {"metadata": {"name": "web", "labels": labels}}},
	}
}

owner := {"labels": [{"key": "owner", "allowedRegex": "^[a-z]+$"}]}

test_label_present if count(verdicts({"owner": "ann"}, owner)) == 0

test_label_missing if {
	some v in verdicts({"app": "web"}, owner)
	v.msg == "label owner is missing"
	v.details.field == "metadata.labels[owner]"
}

test_label_empty if count(verdicts({"owner": ""}, {"labels": [{"key": "owner"}]})) == 1

test_value_wrong if {
	some v in verdicts({"owner": "Ann1"}, owner)
	v.msg == `label owner has the value "Ann1"`
}

test_message_of_the_constraint if {
	some v in verdicts({}, {"message": "say whose it is", "labels": [{"key": "owner"}]})
	v.msg == "say whose it is"
}

test_object_without_labels if {
	count(k8srequiredlabels.violation) == 1 with input as {"parameters": owner, "review": {"object": {"metadata": {"name": "web"}}}}
}
