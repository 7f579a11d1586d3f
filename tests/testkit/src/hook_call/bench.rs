//! The host that serves one call.

use std::collections::BTreeMap;

use atelier_plugin_abi::{
    Buffer, Field, Level, Value, ValueRef,
    codes::{COUNT, ListOp, OptionSource, OptionTarget, Status},
    host::{BufferView, Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};
use image::RgbImage;
use serde_json::{Map, Value as Json};

use super::{Called, Given};

/// The host of the call.
pub(super) struct Bench {
    pub(super) called: Called,
    pub(super) fields: BTreeMap<Field, Given>,
    pub(super) options: BTreeMap<String, Json>,
    pub(super) args: Map<String, Json>,
}

fn refused<T>(status: Status, message: String) -> Result<T, Refusal> {
    Err(Refusal::new(status, message))
}

fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(value) => match value.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Float(value.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.as_str().into()),
        deep => Value::Json(deep.to_string().into()),
    }
}

fn to_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Bool(value) => value.into(),
        ValueRef::Int(value) => value.into(),
        ValueRef::Float(value) => value.into(),
        ValueRef::Text(text) => text.into(),
        ValueRef::Json(text) => serde_json::from_str(text).unwrap_or_default(),
    }
}

impl HookHost for Bench {
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        let count = self.called.images.len() as i64;
        match (self.fields.get(&field), field) {
            (Some(Given::One(value)), _) => Ok(to_value(value)),
            (Some(Given::List(list)), _) if index == COUNT => Ok(Value::Int(list.len() as i64)),
            (Some(Given::List(list)), _) => match list.get(index as usize) {
                Some(value) => Ok(to_value(value)),
                None => refused(Status::NotHere, format!("{field} has no element {index}")),
            },
            (None, Field::Args) => Ok(to_value(&Json::Object(self.args.clone()))),
            (None, Field::PictureCount) => Ok(Value::Int(count)),
            (None, Field::RunId) => Ok(Value::Text("hook-call".into())),
            (None, _) => {
                refused(Status::NotHere, format!("the test gives no {field}: HookCall::field does"))
            }
        }
    }

    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        let json = to_json(value);
        match self.fields.get_mut(&field) {
            Some(Given::List(list)) => match list.get_mut(index as usize) {
                Some(element) => element.clone_from(&json),
                None => {
                    return refused(Status::NotHere, format!("{field} has no element {index}"));
                }
            },
            _ => _ = self.fields.insert(field, Given::One(json.clone())),
        }
        self.called.set.push((field, index, json));
        Ok(())
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        let reads = match source {
            OptionSource::Live => &mut self.called.live_reads,
            _ => &mut self.called.snapshot_reads,
        };
        reads.push(key.to_owned());
        match self.options.get(key) {
            Some(value) => Ok(to_value(value)),
            None => refused(Status::UnknownKey, format!("the test gives no option {key}")),
        }
    }

    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal> {
        let reads = match source {
            OptionSource::Live => &mut self.called.live_reads,
            _ => &mut self.called.snapshot_reads,
        };
        reads.push("*".to_owned());
        let all: Map<String, Json> = self.options.clone().into_iter().collect();
        Ok(to_value(&Json::Object(all)))
    }

    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let value = to_json(value);
        if target == OptionTarget::Live {
            self.options.insert(key.to_owned(), value.clone());
        }
        self.called.writes.push((key.to_owned(), value));
        Ok(())
    }

    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        if buffer == Buffer::Image {
            let Some(image) = self.called.images.get_mut(index as usize) else {
                return refused(Status::NotHere, format!("the test gives no picture {index}"));
            };
            let shape = [image.height() as usize, image.width() as usize, 3, 1];
            let data: &mut [u8] = image;
            let elements = if write { Elements::U8Mut(data) } else { Elements::U8(data) };
            return Ok(BufferView { shape, rank: 3, elements });
        }
        if let Some((sizes, data)) = self.called.bytes.get_mut(&buffer) {
            let elements = if write { Elements::U8Mut(data) } else { Elements::U8(data) };
            return Ok(BufferView { shape: shape_of(sizes), rank: 3, elements });
        }
        let Some((sizes, data)) = self.called.tensors.get_mut(&buffer) else {
            return refused(Status::NotHere, format!("the test gives no {buffer}"));
        };
        let elements = if write { Elements::F32Mut(data) } else { Elements::F32(data) };
        Ok(BufferView { shape: shape_of(sizes), rank: sizes.len().min(4), elements })
    }

    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        (width, height): (u64, u64),
    ) -> Result<(), Refusal> {
        let images = &mut self.called.images;
        let black = RgbImage::new(width as u32, height as u32);
        match (buffer, op) {
            (Buffer::Image, ListOp::Push) => images.push(black),
            (Buffer::Image, ListOp::Remove) if (index as usize) < images.len() => {
                images.remove(index as usize);
            }
            (Buffer::Image, ListOp::Replace) if (index as usize) < images.len() => {
                images[index as usize] = black;
            }
            _ => return refused(Status::NotHere, format!("{op} of {buffer} at {index}")),
        }
        Ok(())
    }

    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        self.called.infotext.push((key.to_owned(), to_json(value)));
        Ok(())
    }

    fn service(&mut self, _: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        refused(Status::NotHere, "services need a whole run: use TestHost".to_owned())
    }

    fn cancelled(&mut self) -> bool {
        false
    }

    fn log(&mut self, _: Level, _: &str, message: &str) {
        self.called.logs.push(message.to_owned());
    }
}

fn shape_of(sizes: &[usize]) -> [usize; 4] {
    let mut shape = [1; 4];
    for (to, from) in shape.iter_mut().zip(sizes) {
        *to = *from;
    }
    shape
}
