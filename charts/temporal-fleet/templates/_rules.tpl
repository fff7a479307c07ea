{{/* What the operator does in the namespaces of fleets: no wildcard, no verb that it does not use. */}}
{{- define "temporal-fleet.rules" -}}
# The spec of the two kinds is never written.
- apiGroups: [temporal-fleet.dev]
  resources: [temporalworkers, temporalconnections]
  verbs: [get, list, watch]
- apiGroups: [temporal-fleet.dev]
  resources: [temporalworkers/status, temporalconnections/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# The size has a field manager of its own, through this subresource.
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
# Deletion cost and quarantine; a pod is deleted once its drain is over.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# By name only: what a connection references, and the fleet's own `<fleet>-control`.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [get, list]
{{- end -}}
