//! Judges a manifest by its resource's schema as the API server would: types, unknown and missing fields, ranges, lengths,
//! lists without duplicates. The schema's CEL rules come after it.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

/// Longest text that is quoted in a message.
const MAX_QUOTED: usize = 40;

/// What is wrong with a manifest.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Paths of fields that do not exist.
    pub unknown: Vec<String>,
    /// A sentence for each other fault.
    pub faults: Vec<String>,
}

/// Judges a value. Fields that are null are taken out of it, as if they were not there.
pub(super) fn judge(
    path: &str,
    value: &mut Value,
    schema: &JSONSchemaProps,
    plain: &BTreeMap<String, String>,
) -> Findings {
    let mut judge = Judge { plain, findings: Findings::default() };
    judge.value(path, value, schema);
    judge.findings
}

struct Judge<'p> {
    plain: &'p BTreeMap<String, String>,
    findings: Findings,
}

impl Judge<'_> {
    fn value(&mut self, path: &str, value: &mut Value, schema: &JSONSchemaProps) {
        if !is_of_type(value, schema) {
            let fault = self.wrong_type(path, value, schema);
            return self.findings.faults.push(fault);
        }
        match value {
            Value::Object(fields) => self.object(path, fields, schema),
            Value::Array(items) => self.list(path, items, schema),
            Value::String(text) => {
                self.length(path, "characters", text.chars().count(), [schema.min_length, schema.max_length])
            }
            Value::Number(_) => self.range(path, value, schema),
            Value::Bool(_) | Value::Null => {}
        }
        let allowed = schema.enum_.iter().flatten().map(|allowed| &allowed.0);
        if schema.enum_.is_some() && !allowed.clone().any(|allowed| allowed == value) {
            let allowed: Vec<_> = allowed.map(Value::to_string).collect();
            self.fault(path, &format!("is {}; it must be one of {}", shown(value), allowed.join(", ")));
        }
    }

    fn object(&mut self, path: &str, fields: &mut Map<String, Value>, schema: &JSONSchemaProps) {
        let properties = schema.properties.as_ref();
        let others = match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(others)) => Some(&**others),
            _ => None,
        };
        let free = schema.x_kubernetes_preserve_unknown_fields == Some(true)
            || matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Bool(true)));
        fields.retain(|name, value| match properties.and_then(|known| known.get(name)).or(others) {
            Some(_) => !value.is_null(),
            None if free => true,
            None => {
                // one that is null is taken for absent, known or not
                if !value.is_null() {
                    self.findings.unknown.push(field(path, name));
                }
                false
            }
        });
        for (name, value) in fields.iter_mut() {
            if let Some(schema) = properties.and_then(|known| known.get(name)).or(others) {
                self.value(&field(path, name), value, schema);
            }
        }
        for name in schema.required.iter().flatten().filter(|name| !fields.contains_key(*name)) {
            self.fault(&field(path, name), "is missing");
        }
    }

    fn list(&mut self, path: &str, items: &mut [Value], schema: &JSONSchemaProps) {
        self.length(path, "entries", items.len(), [schema.min_items, schema.max_items]);
        if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
            for (index, item) in items.iter_mut().enumerate() {
                self.value(&format!("{path}[{index}]"), item, schema);
            }
        }
        let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
        let key = |item: &Value| match schema.x_kubernetes_list_type.as_deref() {
            Some("set") => Some(vec![item.clone()]),
            Some("map") => keys.iter().map(|key| item.get(key).cloned()).collect(),
            _ => None,
        };
        let found: Vec<_> = items.iter().map(key).collect();
        for (index, key) in found.iter().enumerate() {
            if let Some(key) = key.as_ref().filter(|_| found[..index].contains(key)) {
                let key: Vec<_> = key.iter().map(Value::to_string).collect();
                self.fault(&format!("{path}[{index}]"), &format!("repeats {}", key.join(", ")));
            }
        }
    }

    fn length(&mut self, path: &str, what: &str, length: usize, [least, most]: [Option<i64>; 2]) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if let Some(least) = least.filter(|least| length < *least) {
            self.fault(path, &format!("has {length} {what}; it must have at least {least}"));
        }
        if let Some(most) = most.filter(|most| length > *most) {
            self.fault(path, &format!("has {length} {what}; it must have at most {most}"));
        }
    }

    fn range(&mut self, path: &str, value: &Value, schema: &JSONSchemaProps) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(least) = schema.minimum.filter(|least| number < *least) {
            self.fault(path, &format!("is {value}; it must be at least {least}"));
        }
        if let Some(most) = schema.maximum.filter(|most| number > *most) {
            self.fault(path, &format!("is {value}; it must be at most {most}"));
        }
    }

    fn fault(&mut self, path: &str, what: &str) {
        self.findings.faults.push(format!("{path} {what}"));
    }

    fn wrong_type(&self, path: &str, value: &Value, schema: &JSONSchemaProps) -> String {
        let wanted = wanted(schema);
        match self.plain.get(path).filter(|text| takes_text(schema) && !text.is_empty()) {
            Some(text) => {
                let read = shown(value);
                format!("{path} must be {wanted}, but without quotes {text} is {read}; quote it: \"{text}\"")
            }
            None => format!("{path} must be {wanted}, but is {}", shown(value)),
        }
    }
}

/// The path of a field.
pub(super) fn field(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_of_type(value: &Value, schema: &JSONSchemaProps) -> bool {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return value.is_string() || is_integer(value);
    }
    match schema.type_.as_deref() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => is_integer(value),
        Some("number") => value.is_number(),
        _ => true,
    }
}

/// Whole numbers that are too large for an integer are none.
fn is_integer(value: &Value) -> bool {
    value.is_i64()
}

fn takes_text(schema: &JSONSchemaProps) -> bool {
    schema.type_.as_deref() == Some("string") || schema.x_kubernetes_int_or_string == Some(true)
}

fn wanted(schema: &JSONSchemaProps) -> &'static str {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "an integer or a string";
    }
    match schema.type_.as_deref() {
        Some("object") => "a map",
        Some("array") => "a list",
        Some("boolean") => "a boolean (true or false)",
        Some("integer") => "an integer",
        Some("number") => "a number",
        _ => "a string",
    }
}

/// A value in words.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => format!("the boolean {value}"),
        Value::Number(_) => format!("the number {value}"),
        Value::String(text) if text.chars().count() > MAX_QUOTED => {
            let begin: String = text.chars().take(MAX_QUOTED).collect();
            format!("the string \"{begin}…\"")
        }
        Value::String(text) => format!("the string \"{text}\""),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkageProject, LinkageRun};
    use kube::CustomResourceExt;

    /// What else a schema may say would be passed over in silence.
    #[test]
    fn the_schemas_say_nothing_that_is_not_judged() {
        let judged = [
            "type",
            "properties",
            "items",
            "additionalProperties",
            "required",
            "enum",
            "nullable",
            "default",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            // for people, for numbers whose range is given, and what CEL judges
            "description",
            "format",
            "x-kubernetes-validations",
        ];
        let mut schemas = Vec::new();
        for crd in [LinkageProject::crd(), LinkageRun::crd()] {
            let schema = serde_json::to_value(crd.spec.versions[0].schema.as_ref().unwrap()).unwrap();
            schemas.push(schema["openAPIV3Schema"]["properties"]["spec"].clone());
        }
        while let Some(Value::Object(schema)) = schemas.pop() {
            for (keyword, value) in &schema {
                assert!(judged.contains(&keyword.as_str()), "{keyword}: {value}");
                match keyword.as_str() {
                    "properties" => schemas.extend(value.as_object().unwrap().values().cloned()),
                    "items" | "additionalProperties" => schemas.push(value.clone()),
                    _ => {}
                }
            }
            if schema.get("format").is_some_and(|format| format == "int32") {
                assert!(schema.contains_key("minimum") && schema.contains_key("maximum"), "{schema:?}");
            }
        }
    }
}
