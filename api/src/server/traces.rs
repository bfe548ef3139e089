//! Traces of requests, sent by OTLP over HTTP to a collector, where one is named by the variables that OpenTelemetry
//! has for it (`OTEL_EXPORTER_OTLP_ENDPOINT` and so on). A caller's trace goes on in ours (W3C Trace Context).

use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

/// Any of them switches traces on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// The name of the service, unless `OTEL_SERVICE_NAME` gives it another.
const NAME: &str = "linkage-api";

/// Sends traces until it is shut down.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector that the environment names; none if it names none.
    ///
    /// # Errors
    /// Fails when a setting cannot be used.
    pub fn open() -> anyhow::Result<Option<Self>> {
        if ENDPOINTS.iter().all(|name| std::env::var(name).unwrap_or_default().is_empty()) {
            return Ok(None);
        }
        Ok(Some(Self::with(SpanExporter::builder().with_http().build()?)))
    }

    /// To where the exporter sends them.
    pub fn with(exporter: SpanExporter) -> Self {
        let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
        let resource = Resource::builder().with_service_name(name.unwrap_or_else(|| NAME.into())).build();
        Self(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
    }

    /// Makes traces of the service's own spans.
    pub fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        let own =
            Targets::new().with_target("api", LevelFilter::INFO).with_target("scorer", LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(NAME)).with_filter(own)
    }

    /// Sends what is left; blocks until that is done.
    pub fn shut_down(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes a span go on with the trace that the headers of its request name, if any. Tells whether traces are made at all.
pub fn continue_trace(span: &Span, headers: &HeaderMap) -> bool {
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    span.set_parent(context).is_ok()
}
