{{/* What the operator does in the namespaces of fleets: no wildcard, no verb that it does not use. */}}
{{- define "temporal-fleet.rules" -}}
# The spec of the two kinds is never written.
- apiGroups: [temporal-fleet.dev]
  resources: [temporalworkers]
  verbs: [get, list, watch]
- apiGroups: [temporal-fleet.dev]
  resources: [temporalconnections]
  verbs: [list, watch]
- apiGroups: [temporal-fleet.dev]
  resources: [temporalworkers/status, temporalconnections/status]
  verbs: [patch]
# Children are deleted by the garbage collector, after their fleet: the operator deletes none of them.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# The size has a field manager of its own, through this subresource.
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
# Patched for the deletion cost, for the label and owner of quarantine, and for the cluster autoscaler; deleted at the end of a quarantine.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Read only: where one aims at a fleet, the operator writes no size.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
# By name only: what a connection references, and the fleet's own `<fleet>-control`.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
{{- end -}}
