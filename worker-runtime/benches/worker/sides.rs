//! The sides: the same workflow and activity, served by both shapes of this runtime and by the bare SDK, all as their documentation
//! shows.

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use fleet_worker::{FleetWorker, Settings, settings::Ports};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::telemetry::{
    PrometheusExporterOptions, TelemetryOptions, metrics::CoreMeter, start_prometheus_metric_exporter, telemetry_init,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::{Runtime, RuntimeOptions},
};

use crate::drive::{Customise, Drive, Plan};

const QUEUE: &str = "bench";

pub(crate) struct Work;

#[activities]
impl Work {
    #[activity(name = "step")]
    async fn step(_: ActivityContext, order: String) -> Result<String, ActivityError> {
        Ok(order)
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Order;

#[workflow_methods]
impl Order {
    #[run(name = "Order")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, order: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(30));
        Ok(ctx.execute_activity(Work::step, order, options).await?)
    }
}

/// Measures one side.
pub(crate) fn run(side: &str, plan: Plan) -> Result<String, Box<dyn Error>> {
    let (drive, customise) = Drive::new();
    if matches!(side, "split" | "combined") {
        let mut settings = Settings::from_variables(&HashMap::new())?;
        settings.ports = Ports {
            metrics: 0,
            control: 0,
            health: 0,
        };
        let mut worker = FleetWorker::from_settings(settings)
            .default_queue(QUEUE)
            .workflow::<Order>()
            .activities(Work)
            .customise_connection(customise);
        if side == "combined" {
            worker = worker.combined();
        }
        let _running = worker.spawn()?;
        return Ok(drive.measure(plan)?.to_string());
    }
    let exports = side == "exporting";
    std::thread::Builder::new()
        .name("bare".to_owned())
        .spawn(move || bare(customise, exports).unwrap_or_else(|error| panic!("the bare worker: {error}")))?;
    Ok(drive.measure(plan)?.to_string())
}

/// A worker of the SDK alone, with all its defaults; if asked to with the SDK's own exporter for Prometheus, as its users run it.
fn bare(customise: Customise, exports: bool) -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tokio.block_on(async {
        let mut options = ConnectionOptions::new(Url::parse("http://localhost:7233")?)
            .identity("bare")
            .build();
        customise(&mut options);
        let address = PrometheusExporterOptions::builder()
            .socket_addr(([127, 0, 0, 1], 0).into())
            .build();
        let exporter = exports.then(|| start_prometheus_metric_exporter(address)).transpose()?;
        let meter = exporter.map(|server| server.meter as Arc<dyn CoreMeter>);
        let telemetry = || TelemetryOptions::builder().maybe_metrics(meter.clone()).build();
        options.metrics_meter = telemetry_init(telemetry())?.get_temporal_metric_meter();
        let client = Client::new(
            Connection::connect(options).await?,
            ClientOptions::new("default").build(),
        )?;
        let runtime = Runtime::from_current_tokio(RuntimeOptions::builder().telemetry_options(telemetry()).build()?)?;
        let options = WorkerOptions::new(QUEUE)
            .register_workflow::<Order>()?
            .register_activities(Work)
            .build();
        Worker::new(&runtime, client, options)?.run().await?;
        Ok(())
    })
}
