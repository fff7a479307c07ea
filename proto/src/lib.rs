//! `WorkerControl`, the gRPC service between the operator and the pods of a fleet. Generated code, no logic.

/// Version 1 of the service.
pub mod v1 {
    tonic::include_proto!("temporal_fleet.control.v1");
}

/// Port on which a pod serves `WorkerControl`.
pub const PORT: u16 = 9465;
