//! The objects, by the rules of the real API server and its garbage collector.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::call::{Key, Resource};
use crate::refusal::Refusal;

/// What only the API server writes.
const SERVERS_OWN: [&str; 7] = [
    "uid",
    "name",
    "namespace",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Those whose status is a subresource, and whose generation counts the changes of all else.
const WITH_STATUS: [&str; 4] = ["linkageprojects", "linkageruns", "jobs", "pods"];

/// All objects, and what has happened to them.
#[derive(Clone, Default)]
pub(crate) struct Objects {
    by_key: BTreeMap<Key, Value>,
    history: Vec<Change>,
    version: u64,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    suffixes: u64,
}

/// One change of one object.
#[derive(Clone)]
pub(crate) struct Change {
    pub version: u64,
    pub key: Key,
    pub before: Option<Value>,
    /// As it last was, where it has gone.
    pub after: Value,
    pub gone: bool,
}

impl Objects {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.by_key.get(key)
    }

    pub fn all(&self, resource: &Resource) -> impl Iterator<Item = (&Key, &Value)> {
        self.by_key.iter().filter(move |(key, _)| resource.contains(key))
    }

    /// What has happened since a version; none if that is forgotten.
    pub fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let start = self.history.partition_point(|change| change.version <= version);
        (version >= self.forgotten).then(|| self.history[start..].iter())
    }

    pub fn forget_history(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
    }

    pub fn find(&self, resource: &Resource, name: &str) -> Result<&Value, Refusal> {
        self.get(&resource.key(name)).ok_or_else(|| Refusal::not_found(&resource.qualified(), name))
    }

    pub fn add_namespace(&mut self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "uid": format!("namespace-{name}"), "creationTimestamp": now(),
                "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        let key = Key { namespace: String::new(), plural: "namespaces".into(), name: name.into() };
        self.put(key, object);
    }

    /// Creates an object; a status comes only from those who may write what they like.
    pub fn create(
        &mut self,
        resource: &Resource,
        mut object: Value,
        with_status: bool,
    ) -> Result<Value, Refusal> {
        let name = self.name(resource, &object)?;
        let key = resource.key(&name);
        self.refuse_in_ending_namespace(resource, &name)?;
        if self.get(&key).is_some() {
            return Err(Refusal::already_exists(&resource.qualified(), &name));
        }
        if object["metadata"]["resourceVersion"].is_string() {
            return Err(Refusal::internal_error(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(key.namespace);
        metadata["uid"] = json!(format!("00000000-0000-4000-8000-{:012x}", self.version + 1));
        metadata["creationTimestamp"] = now();
        if WITH_STATUS.contains(&key.plural.as_str()) {
            metadata["generation"] = json!(1);
            if !with_status {
                set(&mut object, "status", Value::Null);
            }
        }
        Ok(self.put(key, object))
    }

    fn name(&mut self, resource: &Resource, object: &Value) -> Result<String, Refusal> {
        let text = |field| object["metadata"][field].as_str().filter(|text: &&str| !text.is_empty());
        match (text("name"), text("generateName")) {
            (Some(name), _) => Ok(name.into()),
            (None, Some(start)) => {
                self.suffixes += 1;
                Ok(format!("{start}{:05x}", self.suffixes))
            }
            (None, None) => {
                let causes = [("metadata.name", "Required value: name or generateName is required")];
                Err(Refusal::invalid(&resource.qualified(), "", &causes))
            }
        }
    }

    fn refuse_in_ending_namespace(&self, resource: &Resource, name: &str) -> Result<(), Refusal> {
        let namespace = &resource.namespace;
        let key = Key { namespace: String::new(), plural: "namespaces".into(), name: namespace.clone() };
        if self.get(&key).is_some_and(|namespace| namespace["metadata"]["deletionTimestamp"].is_string()) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(Refusal::forbidden(&resource.qualified(), name, &why));
        }
        Ok(())
    }

    /// Replaces an object by what a client has made of it, or with a subresource only that part.
    pub fn update(
        &mut self,
        resource: &Resource,
        name: &str,
        subresource: Option<&str>,
        mut new: Value,
    ) -> Result<Value, Refusal> {
        let old = self.find(resource, name)?.clone();
        for field in ["resourceVersion", "uid"] {
            let wanted = &new["metadata"][field];
            if wanted.is_string() && *wanted != old["metadata"][field] {
                return Err(Refusal::conflict(&resource.qualified(), name));
            }
        }
        let with_status = WITH_STATUS.contains(&resource.plural.as_str());
        let object = match subresource {
            Some("status") if with_status => {
                let mut object = old.clone();
                set(&mut object, "status", new["status"].take());
                object
            }
            Some(_) => return Err(Refusal::not_found(&resource.qualified(), name)),
            None => {
                for field in SERVERS_OWN {
                    set(&mut new["metadata"], field, old["metadata"][field].clone());
                }
                if with_status {
                    set(&mut new, "status", old["status"].clone());
                }
                refuse_new_finalizers(resource, name, &old, &new)?;
                new
            }
        };
        Ok(self.put(resource.key(name), object))
    }

    /// Changes anything; the version rises even if nothing is changed.
    pub fn change(&mut self, key: Key, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let mut object = self.get(&key)?.clone();
        change(&mut object);
        Some(self.store(key, object))
    }

    /// Gives the object if it stays, as it then is, else that it has gone.
    pub fn delete(&mut self, resource: &Resource, name: &str, options: &Value) -> Result<Value, Refusal> {
        let key = resource.key(name);
        let object = self.find(resource, name)?.clone();
        for (field, called) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let is = object["metadata"][field].as_str().unwrap_or_default();
            let wanted = options["preconditions"][field].as_str().unwrap_or(is);
            if wanted != is {
                let why = format!(
                    "the {called} in the precondition ({wanted}) does not match the {called} in record ({is}). \
                     The object might have been changed, or deleted and then recreated"
                );
                return Err(Refusal::conflict_because(&resource.qualified(), name, &why));
            }
        }
        // the API's oldest habit: a Job that is deleted without a word leaves its pods behind
        let usual = if resource.plural == "jobs" { "Orphan" } else { "Background" };
        if options["propagationPolicy"].as_str().unwrap_or(usual) == "Orphan" {
            let uid = &object["metadata"]["uid"];
            self.for_dependents(uid, |objects, key, _| objects.disown(key, uid));
        }
        self.end(key.clone());
        if resource.plural == "namespaces" {
            self.empty_namespace(name);
        }
        Ok(self.get(&key).cloned().unwrap_or_else(|| {
            let details = json!({"name": name, "group": resource.group, "kind": resource.plural,
                "uid": object["metadata"]["uid"]});
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
        }))
    }

    /// Removes an object, or marks it as deleted where finalizers hold it.
    fn end(&mut self, key: Key) {
        let Some(mut object) = self.get(&key).cloned() else { return };
        let is_namespace = key.plural == "namespaces";
        if !is_held(&object) && !is_namespace {
            return self.remove(&key);
        }
        let metadata = &mut object["metadata"];
        if metadata["deletionTimestamp"].is_null() {
            metadata["deletionTimestamp"] = now();
            metadata["deletionGracePeriodSeconds"] = json!(0);
            if let Some(generation) = metadata["generation"].as_i64() {
                metadata["generation"] = json!(generation + 1);
            }
            if is_namespace {
                object["status"]["phase"] = json!("Terminating");
            }
            self.put(key, object);
        }
    }

    fn empty_namespace(&mut self, name: &str) {
        let within: Vec<Key> = self.by_key.keys().filter(|key| key.namespace == name).cloned().collect();
        within.into_iter().for_each(|key| self.end(key));
        self.remove_if_empty(name);
    }

    fn remove_if_empty(&mut self, namespace: &str) {
        let key = Key { namespace: String::new(), plural: "namespaces".into(), name: namespace.into() };
        let ends = self.get(&key).is_some_and(|object| object["metadata"]["deletionTimestamp"].is_string());
        if ends && !self.by_key.keys().any(|key| key.namespace == namespace) {
            self.remove(&key);
        }
    }

    /// Stores an object unless nothing has changed.
    fn put(&mut self, key: Key, mut object: Value) -> Value {
        if key.plural == "secrets" {
            encode_string_data(&mut object);
        }
        if let Some(before) = self.get(&key) {
            let version = before["metadata"]["resourceVersion"].clone();
            set(&mut object["metadata"], "resourceVersion", version);
            if *before == object {
                return object;
            }
        }
        self.store(key, object)
    }

    /// Stores an object with a new version; if it was ending, and its last finalizer has gone, it goes.
    fn store(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.get(&key).cloned();
        if let Some(before) = &before
            && WITH_STATUS.contains(&key.plural.as_str())
            && content(before) != content(&object)
        {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.by_key.insert(key.clone(), object.clone());
        let ends = object["metadata"]["deletionTimestamp"].is_string() && key.plural != "namespaces";
        if ends && !is_held(&object) {
            self.remove(&key);
        } else {
            let after = object.clone();
            self.history.push(Change { version: self.version, key, before, after, gone: false });
        }
        object
    }

    /// Removes an object, and what nobody else owns with it.
    fn remove(&mut self, key: &Key) {
        let Some(object) = self.by_key.remove(key) else { return };
        self.version += 1;
        let mut after = object.clone();
        after["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let uid = object["metadata"]["uid"].clone();
        let before = Some(object);
        self.history.push(Change { version: self.version, key: key.clone(), before, after, gone: true });
        self.for_dependents(&uid, |objects, key, object| {
            let others: Vec<&Value> = owners(&object).filter(|owner| owner["uid"] != uid).collect();
            let is_owned =
                |owner: &&Value| objects.by_key.values().any(|o| o["metadata"]["uid"] == owner["uid"]);
            if others.iter().any(is_owned) { objects.disown(key, &uid) } else { objects.end(key) }
        });
        self.remove_if_empty(&key.namespace);
    }

    /// Does something with all objects that name an owner.
    fn for_dependents(&mut self, owner: &Value, mut work: impl FnMut(&mut Self, Key, Value)) {
        let is_owned = |object: &Value| owners(object).any(|reference| reference["uid"] == *owner);
        let dependents: Vec<(Key, Value)> = self
            .by_key
            .iter()
            .filter(|(_, object)| is_owned(object))
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        dependents.into_iter().for_each(|(key, object)| work(self, key, object));
    }

    /// Removes the reference to an owner.
    fn disown(&mut self, key: Key, owner: &Value) {
        let Some(mut object) = self.get(&key).cloned() else { return };
        if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
            references.retain(|reference| reference["uid"] != *owner);
        }
        self.put(key, object);
    }
}

fn refuse_new_finalizers(resource: &Resource, name: &str, old: &Value, new: &Value) -> Result<(), Refusal> {
    let finalizers =
        |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let known = finalizers(old);
    if old["metadata"]["deletionTimestamp"].is_null() || finalizers(new).iter().all(|one| known.contains(one))
    {
        return Ok(());
    }
    let why = "Forbidden: no new finalizers can be added if the object is being deleted";
    Err(Refusal::invalid(&resource.qualified(), name, &[("metadata.finalizers", why)]))
}

/// All but metadata and status: what a generation counts the changes of.
fn content(object: &Value) -> Map<String, Value> {
    let mut content = object.as_object().cloned().unwrap_or_default();
    content.retain(|field, _| !["metadata", "status"].contains(&field.as_str()));
    content
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

fn is_held(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// Null removes the field.
fn set(object: &mut Value, field: &str, value: Value) {
    match object.as_object_mut() {
        Some(fields) if value.is_null() => drop(fields.shift_remove(field)),
        Some(fields) => drop(fields.insert(field.into(), value)),
        None => {}
    }
}

fn encode_string_data(secret: &mut Value) {
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|s| s.shift_remove("stringData")) else {
        return;
    };
    for (name, text) in texts {
        let bytes = ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
        secret["data"][name] = json!(bytes);
    }
}

fn now() -> Value {
    json!(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
