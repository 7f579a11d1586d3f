//! Scalars and lists of a stage: drafts until the hook has succeeded.

use atelier_plugin_abi::{
    Field, Value, ValueRef,
    codes::{COUNT, ListOp, Status},
    host::Refusal,
};

use super::{bad, not_here, read_only};

/// How a field is lent.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A value that the hook may look at.
    Fixed(Value),
    /// Text that it may change; where there are names, to one of them only.
    Text(&'a mut String, Vec<&'static str>),
    /// A whole number that it may change, with its limits.
    UInt(&'a mut u32, (u32, u32)),
    /// A seed that it may change.
    Int(&'a mut i64),
    /// A number that it may change, with its limits.
    Float(&'a mut f64, (f64, f64)),
    /// A switch that it may change.
    Bool(&'a mut bool),
    /// Texts that it may look at.
    FixedTexts(&'a [String]),
    /// Seeds that it may look at.
    FixedInts(&'a [i64]),
    /// Texts that it may change one by one.
    Texts(&'a mut Vec<String>),
    /// Seeds that it may change one by one.
    Ints(&'a mut Vec<i64>),
}

#[derive(Clone, Debug)]
enum Draft {
    Value(Value),
    Texts(Vec<String>),
    Ints(Vec<i64>),
}

#[derive(Debug)]
struct Entry<'a> {
    field: Field,
    slot: Slot<'a>,
    draft: Option<Draft>,
}

/// The fields of a stage.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<Entry<'a>>);

fn element<T>(list: &[T], index: u64, field: Field) -> Result<&T, Refusal> {
    usize::try_from(index).ok().and_then(|index| list.get(index)).ok_or_else(|| {
        not_here(format!("element {index} of {field}, which has {} elements", list.len()))
    })
}

fn length<T>(list: &[T]) -> Value {
    Value::Int(list.len() as i64)
}

impl<'a> Fields<'a> {
    /// Lends a field, instead of as it was lent before.
    pub(super) fn lend(&mut self, field: Field, slot: Slot<'a>) {
        let entry = Entry { field, slot, draft: None };
        match self.0.iter_mut().find(|known| known.field == field) {
            Some(known) => *known = entry,
            None => self.0.push(entry),
        }
    }

    fn entry(&mut self, field: Field) -> Option<&mut Entry<'a>> {
        self.0.iter_mut().find(|entry| entry.field == field)
    }

    pub(super) fn get(&mut self, field: Field, index: u64) -> Option<Result<Value, Refusal>> {
        self.entry(field).map(|entry| entry.get(index))
    }

    pub(super) fn set(
        &mut self,
        field: Field,
        index: u64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        self.entry(field).ok_or_else(|| not_here(field))?.set(index, value)
    }

    /// Lists that belong to pictures follow what happened to the pictures.
    pub(super) fn resize_lists(&mut self, op: ListOp, index: u64) {
        for entry in &mut self.0 {
            entry.resize(op, index as usize);
        }
    }

    pub(super) fn commit(&mut self) {
        for entry in &mut self.0 {
            entry.commit();
        }
    }

    pub(super) fn roll_back(&mut self) {
        for entry in &mut self.0 {
            entry.draft = None;
        }
    }
}

impl Entry<'_> {
    fn get(&self, index: u64) -> Result<Value, Refusal> {
        let texts = |list: &[String]| match index {
            COUNT => Ok(length(list)),
            _ => element(list, index, self.field).map(|text| Value::Text(text.as_str().into())),
        };
        let ints = |list: &[i64]| match index {
            COUNT => Ok(length(list)),
            _ => element(list, index, self.field).map(|value| Value::Int(*value)),
        };
        match &self.draft {
            Some(Draft::Value(value)) => return Ok(value.clone()),
            Some(Draft::Texts(list)) => return texts(list),
            Some(Draft::Ints(list)) => return ints(list),
            None => {}
        }
        match &self.slot {
            Slot::Fixed(value) => Ok(value.clone()),
            Slot::Text(text, _) => Ok(Value::Text(text.as_str().into())),
            Slot::UInt(value, _) => Ok(Value::Int(i64::from(**value))),
            Slot::Int(value) => Ok(Value::Int(**value)),
            Slot::Float(value, _) => Ok(Value::Float(**value)),
            Slot::Bool(value) => Ok(Value::Bool(**value)),
            Slot::FixedTexts(list) => texts(list),
            Slot::Texts(list) => texts(list),
            Slot::FixedInts(list) => ints(list),
            Slot::Ints(list) => ints(list),
        }
    }

    fn wrong(&self, expected: &str, value: ValueRef<'_>) -> Refusal {
        let message = format!("{} takes {expected}, not {}", self.field, value.kind_name());
        Refusal::new(Status::WrongType, message)
    }

    fn set(&mut self, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        let draft = match (&self.slot, value) {
            (Slot::Fixed(_) | Slot::FixedTexts(_) | Slot::FixedInts(_), _) => {
                return Err(read_only(self.field));
            }
            (Slot::Text(_, names), ValueRef::Text(text)) => {
                let known = names.iter().find(|name| name.eq_ignore_ascii_case(text));
                match known {
                    Some(name) => Draft::Value(Value::Text((*name).into())),
                    None if names.is_empty() => Draft::Value(Value::Text(text.into())),
                    None => {
                        let names = names.join(", ");
                        return Err(bad(format!("{} “{text}” is none of: {names}", self.field)));
                    }
                }
            }
            (Slot::UInt(_, (min, max)), ValueRef::Int(given)) => {
                if given < i64::from(*min) || given > i64::from(*max) {
                    return Err(bad(format!("{} is {min} to {max}, not {given}", self.field)));
                }
                Draft::Value(Value::Int(given))
            }
            (Slot::Int(_), ValueRef::Int(given)) => Draft::Value(Value::Int(given)),
            (Slot::Float(_, limits), ValueRef::Float(given)) => {
                self.number(given, *limits)?;
                Draft::Value(Value::Float(given))
            }
            (Slot::Float(_, limits), ValueRef::Int(given)) => {
                self.number(given as f64, *limits)?;
                Draft::Value(Value::Float(given as f64))
            }
            (Slot::Bool(_), ValueRef::Bool(given)) => Draft::Value(Value::Bool(given)),
            (Slot::Texts(list), ValueRef::Text(text)) => {
                let mut list = match self.draft.take() {
                    Some(Draft::Texts(list)) => list,
                    _ => (*list).clone(),
                };
                let outcome = element(&list, index, self.field).map(|_| ());
                if outcome.is_ok() {
                    text.clone_into(&mut list[index as usize]);
                }
                self.draft = Some(Draft::Texts(list));
                return outcome;
            }
            (Slot::Ints(list), ValueRef::Int(given)) => {
                let mut list = match self.draft.take() {
                    Some(Draft::Ints(list)) => list,
                    _ => (*list).clone(),
                };
                let outcome = element(&list, index, self.field).map(|_| ());
                if outcome.is_ok() {
                    list[index as usize] = given;
                }
                self.draft = Some(Draft::Ints(list));
                return outcome;
            }
            (Slot::Text(..) | Slot::Texts(_), other) => return Err(self.wrong("text", other)),
            (Slot::UInt(..) | Slot::Int(_) | Slot::Ints(_), other) => {
                return Err(self.wrong("a whole number", other));
            }
            (Slot::Float(..), other) => return Err(self.wrong("a number", other)),
            (Slot::Bool(_), other) => return Err(self.wrong("true or false", other)),
        };
        self.draft = Some(draft);
        Ok(())
    }

    fn number(&self, given: f64, (min, max): (f64, f64)) -> Result<(), Refusal> {
        if !given.is_finite() || given < min || given > max {
            return Err(bad(format!(
                "{} is a number from {min} to {max}, not {given}",
                self.field
            )));
        }
        Ok(())
    }

    fn resize(&mut self, op: ListOp, index: usize) {
        fn apply<T: Clone + Default>(list: &mut Vec<T>, op: ListOp, index: usize) {
            match op {
                ListOp::Push => list.push(list.get(index).cloned().unwrap_or_default()),
                ListOp::Remove if index < list.len() => _ = list.remove(index),
                _ => {}
            }
        }
        let draft = match (self.draft.take(), &self.slot) {
            (Some(Draft::Texts(list)), _) => Some(Draft::Texts(list)),
            (Some(Draft::Ints(list)), _) => Some(Draft::Ints(list)),
            (None, Slot::Texts(list)) => Some(Draft::Texts((*list).clone())),
            (None, Slot::Ints(list)) => Some(Draft::Ints((*list).clone())),
            (other, _) => other,
        };
        self.draft = draft.map(|mut draft| {
            match &mut draft {
                Draft::Texts(list) => apply(list, op, index),
                Draft::Ints(list) => apply(list, op, index),
                Draft::Value(_) => {}
            }
            draft
        });
    }

    fn commit(&mut self) {
        match (self.draft.take(), &mut self.slot) {
            (Some(Draft::Value(Value::Text(new))), Slot::Text(old, _)) => {
                new.as_ref().clone_into(old);
            }
            (Some(Draft::Value(Value::Int(new))), Slot::UInt(old, _)) => {
                // `set` has checked the limits.
                **old = u32::try_from(new).unwrap_or(**old);
            }
            (Some(Draft::Value(Value::Int(new))), Slot::Int(old)) => **old = new,
            (Some(Draft::Value(Value::Float(new))), Slot::Float(old, _)) => **old = new,
            (Some(Draft::Value(Value::Bool(new))), Slot::Bool(old)) => **old = new,
            (Some(Draft::Texts(new)), Slot::Texts(old)) => **old = new,
            (Some(Draft::Ints(new)), Slot::Ints(old)) => **old = new,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn a_draft_is_seen_by_its_hook_and_counts_when_committed() {
        let (mut steps, mut prompts) = (20, vec!["a".to_owned(), "b".to_owned()]);
        let mut fields = Fields::default();
        fields.lend(Field::Steps, Slot::UInt(&mut steps, (1, 150)));
        fields.lend(Field::Prompts, Slot::Texts(&mut prompts));
        fields.set(Field::Steps, 0, ValueRef::Int(8)).unwrap();
        fields.set(Field::Prompts, 1, ValueRef::Text("c")).unwrap();
        assert_eq!(fields.get(Field::Steps, 0), Some(Ok(Value::Int(8))));
        assert_eq!(fields.get(Field::Prompts, 1), Some(Ok(text("c"))));
        fields.commit();
        drop(fields);
        assert_eq!((steps, prompts), (8, vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_rolled_back_draft_leaves_everything_as_it_was() {
        let mut seeds = vec![1, 2];
        let mut fields = Fields::default();
        fields.lend(Field::Seeds, Slot::Ints(&mut seeds));
        fields.set(Field::Seeds, 0, ValueRef::Int(9)).unwrap();
        fields.resize_lists(ListOp::Remove, 1);
        assert_eq!(fields.get(Field::Seeds, COUNT), Some(Ok(Value::Int(1))));
        fields.roll_back();
        fields.commit();
        drop(fields);
        assert_eq!(seeds, [1, 2]);
    }

    #[test]
    fn bad_values_are_refused_by_name_and_limit() {
        let (mut steps, mut sampler) = (20, "Euler".to_owned());
        let mut fields = Fields::default();
        fields.lend(Field::Steps, Slot::UInt(&mut steps, (1, 150)));
        fields.lend(Field::Sampler, Slot::Text(&mut sampler, vec!["Euler", "DDIM"]));
        fields.lend(Field::Width, Slot::Fixed(Value::Int(64)));
        let refusal = |outcome: Result<(), Refusal>| outcome.unwrap_err().message;
        assert!(refusal(fields.set(Field::Steps, 0, ValueRef::Int(0))).contains("1 to 150"));
        assert!(
            refusal(fields.set(Field::Steps, 0, ValueRef::Bool(true))).contains("whole number")
        );
        assert!(
            refusal(fields.set(Field::Sampler, 0, ValueRef::Text("X"))).contains("Euler, DDIM")
        );
        assert!(refusal(fields.set(Field::Width, 0, ValueRef::Int(8))).contains("only be read"));
        assert!(refusal(fields.set(Field::Sigma, 0, ValueRef::Int(8))).contains("no sigma"));
        fields.set(Field::Sampler, 0, ValueRef::Text("ddim")).unwrap();
        fields.commit();
        drop(fields);
        assert_eq!(sampler, "DDIM");
    }
}
