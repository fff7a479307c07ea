//! The part of Temporal that turns commands into events: runs with whole histories, so that every task is also a replay.
//!
//! Timers of less than a minute fire at once; longer ones never.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, UNIX_EPOCH},
};

use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes as C},
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    failure::v1::Failure,
    history::v1::{
        ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
        ChildWorkflowExecutionStartedEventAttributes, History, HistoryEvent, MarkerRecordedEventAttributes,
        StartChildWorkflowExecutionInitiatedEventAttributes, TimerCanceledEventAttributes, TimerFiredEventAttributes,
        TimerStartedEventAttributes, UpsertWorkflowSearchAttributesEventAttributes,
        WorkflowExecutionCancelRequestedEventAttributes, WorkflowExecutionSignaledEventAttributes,
        WorkflowExecutionStartedEventAttributes, WorkflowExecutionUpdateAcceptedEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes, WorkflowTaskCompletedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes, history_event::Attributes as E,
    },
    protocol::v1::{Message as Protocol, message::SequencingId},
    query::v1::WorkflowQuery,
    taskqueue::v1::TaskQueue,
    update::v1::{Acceptance, Input, Meta, Outcome, Rejection, Request, Response},
    workflowservice::v1::{PollWorkflowTaskQueueResponse, RespondWorkflowTaskCompletedRequest},
};

use prost::{Message, Name};

use crate::fake::Task;

/// How a run ended, or that it asked to go on anew.
pub(crate) use temporalio_common::protos::temporal::api::command::v1::command::Attributes as Ending;

/// One run of a workflow.
#[derive(Debug, Default)]
pub(crate) struct Run {
    kind: String,
    pub(crate) events: Vec<HistoryEvent>,
    /// Events that came while a task was out.
    later: Vec<E>,
    wanted: bool,
    out: bool,
    last_started: i64,
    requests: Vec<Protocol>,
    queries: VecDeque<WorkflowQuery>,
    /// The event by which each update was accepted.
    accepted: HashMap<String, i64>,
    /// Outcomes of updates, by ID.
    pub(crate) outcomes: HashMap<String, Outcome>,
    /// Updates that a validator refused.
    pub(crate) rejected: HashMap<String, Failure>,
    pub(crate) ending: Option<Ending>,
    parent: Option<(usize, i64)>,
}

/// All runs of a frontend.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) all: Vec<Run>,
    /// Answers to queries.
    pub(crate) answers: Vec<Result<Payloads, String>>,
    /// How the last task said that its workflow is versioned.
    pub(crate) behaviour: &'static str,
    /// Failures of workflow tasks.
    pub(crate) failures: Vec<Failure>,
}

/// A JSON payload.
pub(crate) fn json(value: &impl serde::Serialize) -> Payloads {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value).expect("JSON"),
        ..Payload::default()
    };
    Payloads {
        payloads: vec![payload],
    }
}

/// Text of the first payload.
pub(crate) fn text(payloads: Option<&Payloads>) -> String {
    let payload = payloads.and_then(|payloads| payloads.payloads.first());
    payload.map_or_else(String::new, |payload| {
        String::from_utf8_lossy(&payload.data).into_owned()
    })
}

impl Run {
    fn due(&self) -> bool {
        !self.out && ((self.wanted && self.ending.is_none()) || !self.queries.is_empty())
    }

    fn add(&mut self, attributes: E) -> i64 {
        let event_id = self.events.len() as i64 + 1;
        self.events.push(HistoryEvent {
            event_id,
            event_time: Some((UNIX_EPOCH + Duration::from_secs(event_id as u64)).into()),
            event_type: attributes.event_type().into(),
            attributes: Some(attributes),
            ..HistoryEvent::default()
        });
        event_id
    }

    /// Something happened that the workflow must see.
    fn happened(&mut self, attributes: E) {
        self.wanted = true;
        if self.out {
            self.later.push(attributes);
        } else {
            self.add(attributes);
        }
    }

    /// Result of the run.
    pub(crate) fn result(&self) -> Option<String> {
        match self.ending.as_ref()? {
            C::CompleteWorkflowExecutionCommandAttributes(done) => Some(text(done.result.as_ref())),
            other => Some(format!("{other:?}")),
        }
    }
}

impl Runs {
    /// Starts a workflow and returns its number.
    pub(crate) fn start(&mut self, kind: &str, input: Option<Payloads>) -> usize {
        let mut run = Run {
            kind: kind.to_owned(),
            ..Run::default()
        };
        let run_id = format!("run-{}", self.all.len());
        run.happened(E::WorkflowExecutionStartedEventAttributes(
            WorkflowExecutionStartedEventAttributes {
                workflow_type: Some(WorkflowType { name: kind.to_owned() }),
                task_queue: Some(queue()),
                input,
                original_execution_run_id: run_id.clone(),
                first_execution_run_id: run_id,
                attempt: 1,
                workflow_task_timeout: Duration::from_secs(10).try_into().ok(),
                ..Default::default()
            },
        ));
        self.all.push(run);
        self.all.len() - 1
    }

    pub(crate) fn signal(&mut self, run: usize, name: &str, input: Payloads) {
        self.all[run].happened(E::WorkflowExecutionSignaledEventAttributes(
            WorkflowExecutionSignaledEventAttributes {
                signal_name: name.to_owned(),
                input: Some(input),
                ..Default::default()
            },
        ));
    }

    pub(crate) fn cancel(&mut self, run: usize) {
        self.all[run].happened(E::WorkflowExecutionCancelRequestedEventAttributes(
            WorkflowExecutionCancelRequestedEventAttributes::default(),
        ));
    }

    pub(crate) fn update(&mut self, run: usize, id: &str, name: &str, input: Payloads) {
        let request = Request {
            meta: Some(Meta {
                update_id: id.to_owned(),
                identity: "test".to_owned(),
            }),
            input: Some(Input {
                name: name.to_owned(),
                args: Some(input),
                header: None,
            }),
            ..Default::default()
        };
        self.all[run].wanted = true;
        let mut message = Protocol {
            id: format!("{id}/request"),
            protocol_instance_id: id.to_owned(),
            body: Some(Default::default()),
            ..Default::default()
        };
        if let Some(body) = &mut message.body {
            body.type_url = format!("type.googleapis.com/{}", Request::full_name());
            body.value = request.encode_to_vec();
        }
        self.all[run].requests.push(message);
    }

    pub(crate) fn query(&mut self, run: usize, name: &str) {
        self.all[run].queries.push_back(WorkflowQuery {
            query_type: name.to_owned(),
            query_args: Some(Payloads::default()),
            header: None,
        });
    }

    /// How many workflow tasks wait for a poll.
    pub(crate) fn due(&self) -> usize {
        self.all.iter().filter(|run| run.due()).count()
    }

    /// A task for a worker, if one is due.
    pub(crate) fn task(&mut self) -> Option<PollWorkflowTaskQueueResponse> {
        let index = self.all.iter().position(Run::due)?;
        let run = &mut self.all[index];
        let mut response = PollWorkflowTaskQueueResponse {
            task_token: index.to_string().into_bytes(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: format!("workflow-{index}"),
                run_id: format!("run-{index}"),
            }),
            workflow_type: Some(WorkflowType { name: run.kind.clone() }),
            workflow_execution_task_queue: Some(queue()),
            previous_started_event_id: run.last_started,
            attempt: 1,
            ..Default::default()
        };
        if run.wanted && run.ending.is_none() {
            run.wanted = false;
            run.out = true;
            let scheduled_event_id = run.add(E::WorkflowTaskScheduledEventAttributes(
                WorkflowTaskScheduledEventAttributes {
                    task_queue: Some(queue()),
                    attempt: 1,
                    ..Default::default()
                },
            ));
            response.started_event_id = run.add(E::WorkflowTaskStartedEventAttributes(
                WorkflowTaskStartedEventAttributes {
                    scheduled_event_id,
                    ..Default::default()
                },
            ));
            response.messages = std::mem::take(&mut run.requests);
            for message in &mut response.messages {
                message.sequencing_id = Some(SequencingId::EventId(scheduled_event_id));
            }
        } else {
            response.query = run.queries.pop_front();
        }
        response.history = Some(History {
            events: run.events.clone(),
        });
        Some(response)
    }

    /// Takes a worker's answer to a task, and returns the activities that it asks for.
    pub(crate) fn completed(&mut self, request: RespondWorkflowTaskCompletedRequest) -> Vec<Task> {
        let index = number(&request.task_token);
        self.behaviour = request.versioning_behavior().as_str_name();
        let run = &mut self.all[index];
        let started_event_id = run.events.len() as i64;
        run.last_started = started_event_id;
        run.out = false;
        run.add(E::WorkflowTaskCompletedEventAttributes(
            WorkflowTaskCompletedEventAttributes {
                scheduled_event_id: started_event_id - 1,
                started_event_id,
                ..Default::default()
            },
        ));
        for message in &request.messages {
            if let Some(rejection) = body::<Rejection>(message) {
                let failure = rejection.failure.unwrap_or_default();
                run.rejected.insert(message.protocol_instance_id.clone(), failure);
            }
        }
        let mut tasks = Vec::new();
        for command in request.commands {
            tasks.extend(self.command(index, command, &request.messages));
        }
        let run = &mut self.all[index];
        for event in std::mem::take(&mut run.later) {
            run.happened(event);
        }
        tasks
    }

    fn command(&mut self, index: usize, command: Command, messages: &[Protocol]) -> Option<Task> {
        let run = &mut self.all[index];
        match command.attributes? {
            C::ScheduleActivityTaskCommandAttributes(task) => {
                let scheduled = run.add(E::ActivityTaskScheduledEventAttributes(
                    ActivityTaskScheduledEventAttributes {
                        activity_id: task.activity_id,
                        activity_type: task.activity_type.clone(),
                        task_queue: task.task_queue,
                        input: task.input.clone(),
                        ..Default::default()
                    },
                ));
                return Some(Task {
                    activity: task.activity_type.unwrap_or_default().name,
                    input: task.input.unwrap_or_default().payloads,
                    of: Some((index, scheduled)),
                    eager: task.request_eager_execution,
                    ..Task::default()
                });
            }
            C::StartTimerCommandAttributes(timer) => {
                let short = timer.start_to_fire_timeout.is_none_or(|timeout| timeout.seconds < 60);
                let started_event_id = run.add(E::TimerStartedEventAttributes(TimerStartedEventAttributes {
                    timer_id: timer.timer_id.clone(),
                    start_to_fire_timeout: timer.start_to_fire_timeout,
                    ..Default::default()
                }));
                if short {
                    run.later.push(E::TimerFiredEventAttributes(TimerFiredEventAttributes {
                        timer_id: timer.timer_id,
                        started_event_id,
                    }));
                }
            }
            C::CancelTimerCommandAttributes(timer) => {
                run.add(E::TimerCanceledEventAttributes(TimerCanceledEventAttributes {
                    timer_id: timer.timer_id,
                    ..Default::default()
                }));
            }
            C::RecordMarkerCommandAttributes(marker) => {
                run.add(E::MarkerRecordedEventAttributes(MarkerRecordedEventAttributes {
                    marker_name: marker.marker_name,
                    details: marker.details,
                    header: marker.header,
                    failure: marker.failure,
                    ..Default::default()
                }));
            }
            C::UpsertWorkflowSearchAttributesCommandAttributes(upsert) => {
                run.add(E::UpsertWorkflowSearchAttributesEventAttributes(
                    UpsertWorkflowSearchAttributesEventAttributes {
                        search_attributes: upsert.search_attributes,
                        ..Default::default()
                    },
                ));
            }
            C::ProtocolMessageCommandAttributes(protocol) => {
                let message = messages.iter().find(|message| message.id == protocol.message_id)?;
                let id = message.protocol_instance_id.clone();
                if let Some(acceptance) = body::<Acceptance>(message) {
                    let event = run.add(E::WorkflowExecutionUpdateAcceptedEventAttributes(
                        WorkflowExecutionUpdateAcceptedEventAttributes {
                            protocol_instance_id: id.clone(),
                            accepted_request_message_id: acceptance.accepted_request_message_id,
                            accepted_request_sequencing_event_id: acceptance.accepted_request_sequencing_event_id,
                            accepted_request: acceptance.accepted_request,
                        },
                    ));
                    run.accepted.insert(id, event);
                } else if let Some(response) = body::<Response>(message) {
                    run.add(E::WorkflowExecutionUpdateCompletedEventAttributes(
                        WorkflowExecutionUpdateCompletedEventAttributes {
                            meta: response.meta,
                            accepted_event_id: run.accepted.get(&id).copied().unwrap_or_default(),
                            outcome: response.outcome.clone(),
                        },
                    ));
                    run.outcomes.insert(id, response.outcome.unwrap_or_default());
                }
            }
            C::StartChildWorkflowExecutionCommandAttributes(child) => {
                let initiated_event_id = run.add(E::StartChildWorkflowExecutionInitiatedEventAttributes(
                    StartChildWorkflowExecutionInitiatedEventAttributes {
                        workflow_id: child.workflow_id.clone(),
                        workflow_type: child.workflow_type.clone(),
                        task_queue: child.task_queue,
                        input: child.input.clone(),
                        ..Default::default()
                    },
                ));
                run.later.push(E::ChildWorkflowExecutionStartedEventAttributes(
                    ChildWorkflowExecutionStartedEventAttributes {
                        initiated_event_id,
                        workflow_execution: Some(WorkflowExecution {
                            workflow_id: child.workflow_id,
                            run_id: "child".to_owned(),
                        }),
                        workflow_type: child.workflow_type.clone(),
                        ..Default::default()
                    },
                ));
                let number = self.start(&child.workflow_type.unwrap_or_default().name, child.input);
                self.all[number].parent = Some((index, initiated_event_id));
            }
            ending => {
                let (parent, kind) = (run.parent, run.kind.clone());
                match &ending {
                    C::ContinueAsNewWorkflowExecutionCommandAttributes(next) => {
                        let input = next.input.clone();
                        self.start(&kind, input);
                    }
                    C::CompleteWorkflowExecutionCommandAttributes(done) => {
                        if let Some((parent, initiated_event_id)) = parent {
                            let started = self.all[parent].events.iter().find(|event| {
                                matches!(
                                    &event.attributes,
                                    Some(E::ChildWorkflowExecutionStartedEventAttributes(_))
                                )
                            });
                            let started_event_id = started.map_or(0, |event| event.event_id);
                            self.all[parent].happened(E::ChildWorkflowExecutionCompletedEventAttributes(
                                ChildWorkflowExecutionCompletedEventAttributes {
                                    result: done.result.clone(),
                                    initiated_event_id,
                                    started_event_id,
                                    workflow_type: Some(WorkflowType { name: kind }),
                                    ..Default::default()
                                },
                            ));
                        }
                    }
                    _ => {}
                }
                self.all[index].ending = Some(ending);
            }
        }
        None
    }

    /// An activity of a workflow has ended.
    pub(crate) fn activity_ended(&mut self, of: (usize, i64), outcome: Result<Payloads, Failure>) {
        let (index, scheduled_event_id) = of;
        let run = &mut self.all[index];
        let started = E::ActivityTaskStartedEventAttributes(ActivityTaskStartedEventAttributes {
            scheduled_event_id,
            attempt: 1,
            ..Default::default()
        });
        // Number of the event once it is in the history; these tests run one activity at a time.
        let started_event_id = (run.events.len() + run.later.len()) as i64 + 1;
        run.happened(started);
        run.happened(match outcome {
            Ok(result) => E::ActivityTaskCompletedEventAttributes(ActivityTaskCompletedEventAttributes {
                result: Some(result),
                scheduled_event_id,
                started_event_id,
                ..Default::default()
            }),
            Err(failure) => E::ActivityTaskFailedEventAttributes(ActivityTaskFailedEventAttributes {
                failure: Some(failure),
                scheduled_event_id,
                started_event_id,
                ..Default::default()
            }),
        });
    }
}

pub(crate) fn number(token: &[u8]) -> usize {
    String::from_utf8_lossy(token)
        .parse()
        .expect("a token of this frontend")
}

fn queue() -> TaskQueue {
    TaskQueue {
        name: "q".to_owned(),
        ..Default::default()
    }
}

fn body<T: Message + Default + Name>(message: &Protocol) -> Option<T> {
    let body = message.body.as_ref()?;
    let name = body.type_url.rsplit('/').next()?;
    (name == T::full_name()).then(|| T::decode(body.value.as_slice()).ok())?
}
