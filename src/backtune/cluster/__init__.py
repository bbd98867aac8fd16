"""The files that describe a cluster: Ray's launcher files, KubeRay's manifests."""
