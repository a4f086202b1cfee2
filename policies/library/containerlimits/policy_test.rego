package k8scontainerlimits_test

import data.k8scontainerlimits

verdicts(limits, parameters) := result if {
	result := k8scontainerlimits.violation with input as {
		"parameters": parameters,
		"review": {"object": {"spec": {"containers": [{"name": "c", "resources": {"limits": limits}}]}}},
	}
}

maximum := {"cpu": "2", "memory": "1Gi"}

test_within if count(verdicts({"cpu": "500m", "memory": "512Mi"}, maximum)) == 0

test_at_the_maximum if count(verdicts({"cpu": 2, "memory": "1024Mi"}, maximum)) == 0

test_too_much_memory if {
	some v in verdicts({"cpu": "1", "memory": "2Gi"}, maximum)
	v.msg == "the memory limit is 2Gi"
	v.details.field == "spec.containers[c].resources.limits.memory"
}

test_too_much_cpu if count(verdicts({"cpu": "2100m", "memory": "1Mi"}, maximum)) == 1

test_no_limits if count(verdicts({}, maximum)) == 2

test_only_what_is_asked if count(verdicts({"memory": "1Mi"}, {"memory": "1Gi"})) == 0

test_container_without_resources if {
	count(k8scontainerlimits.violation) == 1 with input as {
		"parameters": {"memory": "1Gi"},
		"review": {"object": {"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}},
	}
}
