//! In which order plugins are called at a hook.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use atelier_plugin_abi::Hook;

use super::{id::PluginId, manifest::Manifest};

/// The order of all hooks, with what was wrong in the plugins' wishes.
#[derive(Clone, Debug, Default)]
pub struct Order {
    hooks: BTreeMap<Hook, Vec<PluginId>>,
    /// Things a user should know: wishes that name no plugin.
    pub notices: Vec<String>,
    /// Plugins whose wishes contradict each other, with the cycle they are part of.
    pub cycles: BTreeMap<PluginId, Arc<str>>,
}

/// A user's wish for one hook (`prioritized_callbacks_<hook>`): listed plugins come first among
/// those that may.
pub type Prioritized<'a> = &'a dyn Fn(Hook) -> Vec<String>;

impl Order {
    /// Orders plugins by their wishes; ties by the user's, then by id. Members of a cycle are left
    /// out of every hook.
    pub fn resolve(plugins: &[&Manifest], prioritized: Prioritized<'_>) -> Self {
        let mut order = Self::default();
        let mut members: BTreeMap<&PluginId, &Manifest> =
            plugins.iter().map(|manifest| (&manifest.id, *manifest)).collect();
        for manifest in plugins {
            order.notice_unknown(manifest, &members);
        }
        loop {
            order.hooks.clear();
            let mut cycle = None;
            for &hook in Hook::ALL {
                let first = prioritized(hook);
                match sort(hook, &members, &first) {
                    Ok(sorted) => _ = order.hooks.insert(hook, sorted),
                    Err(found) => {
                        cycle = Some(found);
                        break;
                    }
                }
            }
            let Some(cycle) = cycle else { return order };
            let names: Vec<&str> =
                cycle.iter().chain(cycle.first()).map(PluginId::as_str).collect();
            let path: Arc<str> = names.join(" → ").into();
            for id in cycle {
                members.remove(&id);
                order.cycles.insert(id, path.clone());
            }
        }
    }

    /// The plugins of a hook, first to last.
    pub fn of(&self, hook: Hook) -> &[PluginId] {
        self.hooks.get(&hook).map_or(&[], Vec::as_slice)
    }

    fn notice_unknown(&mut self, manifest: &Manifest, known: &BTreeMap<&PluginId, &Manifest>) {
        for (word, wishes) in [("before", &manifest.before), ("after", &manifest.after)] {
            for wish in wishes {
                let (id, hook) = split(wish);
                if !known.keys().any(|known| known.as_str() == id) {
                    self.notices.push(format!(
                        "{} wants to come {word} “{id}”, which is not loaded",
                        manifest.id
                    ));
                }
                if hook.is_some_and(|hook| Hook::from_name(hook).is_none()) {
                    self.notices.push(format!(
                        "{} wants an order at “{}”, which is no hook of this host",
                        manifest.id,
                        hook.unwrap_or_default()
                    ));
                }
            }
        }
        for hook in manifest.known_hooks().1 {
            self.notices.push(format!(
                "{} has a hook “{hook}” that this host does not call; a newer host may",
                manifest.id
            ));
        }
    }
}

fn split(wish: &str) -> (&str, Option<&str>) {
    wish.split_once(':').map_or((wish, None), |(id, hook)| (id, Some(hook)))
}

fn wishes(wishes: &[String], hook: Hook) -> impl Iterator<Item = &str> {
    wishes.iter().filter_map(move |wish| {
        let (id, only) = split(wish);
        only.is_none_or(|only| only == hook.name()).then_some(id)
    })
}

/// Orders by constraints that hold for `hook`, whether or not a plugin has that hook: an order that
/// is the same everywhere is easier to reason about. The cycle, where there is one.
fn sort(
    hook: Hook,
    members: &BTreeMap<&PluginId, &Manifest>,
    prioritized: &[String],
) -> Result<Vec<PluginId>, Vec<PluginId>> {
    let mut earlier: BTreeMap<&PluginId, BTreeSet<&PluginId>> =
        members.keys().map(|id| (*id, BTreeSet::new())).collect();
    let find = |wanted: &str| members.keys().copied().find(|id| id.as_str() == wanted);
    for (id, manifest) in members {
        for later in wishes(&manifest.before, hook).filter_map(find) {
            earlier.entry(later).or_default().insert(id);
        }
        for first in wishes(&manifest.after, hook).filter_map(find) {
            earlier.entry(id).or_default().insert(first);
        }
    }
    let rank = |id: &PluginId| {
        let at = prioritized.iter().position(|wanted| wanted == id.as_str());
        (at.unwrap_or(usize::MAX), id.clone())
    };
    let mut sorted = Vec::with_capacity(members.len());
    while !earlier.is_empty() {
        let free = earlier.iter().filter(|(_, first)| first.is_empty()).map(|(id, _)| *id);
        let Some(next) = free.min_by_key(|id| rank(id)) else { return Err(cycle(&earlier)) };
        earlier.remove(next);
        for first in earlier.values_mut() {
            first.remove(next);
        }
        sorted.push(next.clone());
    }
    // Only those that have the hook are called; every plugin is started.
    let has = |manifest: &&Manifest| manifest.hooks.iter().any(|name| name == hook.name());
    sorted.retain(|id| hook == Hook::Start || members.get(id).is_some_and(has));
    Ok(sorted)
}

/// Walks from any plugin to one that has to come before it until one is met again.
fn cycle(earlier: &BTreeMap<&PluginId, BTreeSet<&PluginId>>) -> Vec<PluginId> {
    let mut walk: Vec<&PluginId> = Vec::new();
    let mut at = earlier.keys().next().copied();
    while let Some(id) = at {
        if let Some(start) = walk.iter().position(|seen| *seen == id) {
            let mut members: Vec<PluginId> = walk[start..].iter().map(|id| (*id).clone()).collect();
            members.reverse();
            return members;
        }
        walk.push(id);
        at = earlier.get(id).and_then(|first| first.iter().next()).copied();
    }
    walk.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::{isolation::Needs, manifest::PanicStrategy};

    fn manifest(id: &str, before: &[&str], after: &[&str]) -> Manifest {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Manifest {
            id: PluginId::new(id).unwrap(),
            name: id.to_owned(),
            version: "1.0.0".to_owned(),
            abi: "1.0".to_owned(),
            panic: PanicStrategy::Unwind,
            hooks: vec!["process".to_owned(), "postprocess".to_owned()],
            before: texts(before),
            after: texts(after),
            isolation: None,
            needs: Needs::default(),
        }
    }

    fn ids(order: &Order, hook: Hook) -> Vec<&str> {
        order.of(hook).iter().map(PluginId::as_str).collect()
    }

    fn resolve(plugins: &[Manifest], first: &[&str]) -> Order {
        let first: Vec<String> = first.iter().map(|id| (*id).to_owned()).collect();
        Order::resolve(&plugins.iter().collect::<Vec<_>>(), &|_| first.clone())
    }

    #[test]
    fn ties_go_by_the_users_wish_and_then_by_id() {
        let plugins = [manifest("c", &[], &[]), manifest("a", &[], &[]), manifest("b", &[], &[])];
        assert_eq!(ids(&resolve(&plugins, &[]), Hook::Process), ["a", "b", "c"]);
        assert_eq!(ids(&resolve(&plugins, &["c"]), Hook::Process), ["c", "a", "b"]);
    }

    #[test]
    fn a_plugins_own_wish_beats_the_users() {
        let plugins = [manifest("a", &[], &["b"]), manifest("b", &[], &[])];
        assert_eq!(ids(&resolve(&plugins, &["a"]), Hook::Process), ["b", "a"]);
    }

    #[test]
    fn a_wish_for_one_hook_leaves_the_others() {
        let plugins = [manifest("a", &[], &["b:postprocess"]), manifest("b", &[], &[])];
        let order = resolve(&plugins, &[]);
        assert_eq!(ids(&order, Hook::Process), ["a", "b"]);
        assert_eq!(ids(&order, Hook::Postprocess), ["b", "a"]);
    }

    #[test]
    fn a_cycle_disables_its_members_and_prints_its_path() {
        let plugins = [
            manifest("a", &["b"], &[]),
            manifest("b", &["c"], &[]),
            manifest("c", &["a"], &[]),
            manifest("d", &[], &[]),
        ];
        let order = resolve(&plugins, &[]);
        assert_eq!(ids(&order, Hook::Process), ["d"]);
        assert_eq!(order.cycles.len(), 3);
        assert!(order.cycles.values().all(|path| &**path == "b → c → a → b"
            || &**path == "a → b → c → a"
            || &**path == "c → a → b → c"));
    }

    #[test]
    fn a_wish_for_an_unknown_plugin_or_hook_is_a_notice() {
        let order = resolve(&[manifest("a", &["ghost"], &["a:no_such"])], &[]);
        assert_eq!(ids(&order, Hook::Process), ["a"]);
        assert_eq!(order.notices.len(), 2);
        assert!(order.notices[0].contains("ghost"));
    }
}
