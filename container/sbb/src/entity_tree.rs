//! The entity's tree, as a handler sees it: children, and calls between entities.
//!
//! An entity is named by its [`EntityId`], which may be kept in state (in a CMP field) and is used
//! in later deliveries. All of a tree is in one cell.

use crate::call::{Call, LocalCall};
use crate::context::Context;
use crate::delivery::{NAME_BYTES_MAX, TreeEntity};
use crate::ids::EntityId;
use crate::linked::{Done, Run};
use crate::sbb::Failure;

impl Context<'_> {
    /// The entity's parent; `None` for a root entity.
    pub fn parent(&self) -> Option<EntityId> {
        let parent = self.tx.entity(self.deliver, self.number)?.parent?;
        Some(self.entity_id(parent))
    }

    /// Creates a child in a child relation of this entity's SBB. It is attached to nothing yet.
    ///
    /// # Errors
    /// A relation that the SBB does not have, or a tree that is full.
    pub fn create_child(&mut self, relation: &str) -> Result<EntityId, Failure> {
        self.create(relation, None)
    }

    /// Creates a child that [`Context::child`] finds by its name.
    ///
    /// # Errors
    /// As [`Context::create_child`]; a name that is taken in the relation, empty or too long.
    pub fn create_named_child(&mut self, relation: &str, name: &str) -> Result<EntityId, Failure> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let text = format!("a child's name has 1 to {NAME_BYTES_MAX} bytes");
            return Err(Failure::new(text));
        }
        if self.child(relation, name).is_some() {
            let text = format!("there is a child {name:?} in {relation:?} already");
            return Err(Failure::new(text));
        }
        self.create(relation, Some(name.to_owned()))
    }

    fn create(&mut self, relation: &str, name: Option<String>) -> Result<EntityId, Failure> {
        let sbb = self.tx.sbb(self.deliver, self.root, self.number)?.descriptor();
        let Some(known) = sbb.child_relation(relation) else {
            let text = format!("{} has no child relation {relation:?}", sbb.name);
            return Err(Failure::new(text));
        };
        let child = TreeEntity {
            parent: Some(self.number),
            relation: relation.to_owned(),
            name,
            priority: known.priority,
            ..TreeEntity::default()
        };
        let number = self.tx.create(self.deliver, child)?;
        Ok(self.entity_id(number))
    }

    /// Children in a relation, in the order in which they were created.
    pub fn children(&self, relation: &str) -> Vec<EntityId> {
        let children = self.tx.numbers(self.deliver).filter(|number| {
            let child = self.tx.entity(self.deliver, *number);
            child.is_some_and(|it| it.parent == Some(self.number) && it.relation == relation)
        });
        children.map(|number| self.entity_id(number)).collect()
    }

    /// The child of this name.
    pub fn child(&self, relation: &str, name: &str) -> Option<EntityId> {
        let named = |child: &EntityId| {
            let child = self.tx.entity(self.deliver, child.number);
            child.and_then(|child| child.name.as_deref()) == Some(name)
        };
        self.children(relation).into_iter().find(named)
    }

    /// Removes an entity below this one, with all that is below it: their attachments and timers
    /// go with them.
    ///
    /// # Errors
    /// An entity that is not below this one, or whose handler is running, or that of one below it.
    pub fn remove_child(&mut self, child: EntityId) -> Result<(), Failure> {
        if !self.is_below(child) {
            return Err(Failure::new(format!("{child} is not below {}", self.entity())));
        }
        let removed = self.tx.subtree(self.deliver, child.number);
        if removed.iter().any(|number| self.tx.running.contains(number)) {
            let text = format!("{child} is running, or what is below it: it cannot be removed now");
            return Err(Failure::new(text));
        }
        self.tx.remove(&removed);
        for activity in self.tx.context_numbers(self.deliver) {
            let Some(context) = self.tx.context(self.deliver, activity) else { continue };
            if removed.iter().any(|number| context.attached.contains(number))
                && let Some(context) = self.tx.context_mut(self.deliver, activity)
            {
                context.attached.retain(|number| !removed.contains(number));
            }
        }
        Ok(())
    }

    fn is_below(&self, entity: EntityId) -> bool {
        let mut number = entity.number;
        while let Some(parent) =
            self.tx.entity(self.deliver, number).and_then(|entity| entity.parent)
        {
            if parent == self.number {
                return true;
            }
            number = parent;
        }
        false
    }

    /// Priority of an entity of this tree.
    ///
    /// # Errors
    /// An entity that is not of this tree.
    pub fn priority(&self, entity: EntityId) -> Result<i8, Failure> {
        self.check_entity(entity)?;
        let priority = self.tx.priority(self.deliver, entity.number);
        // A root entity that is being created has that of its service.
        let new_root = entity == self.deliver.entity;
        let priority = priority.or(new_root.then(|| self.root.descriptor().priority));
        priority.ok_or_else(|| not_of_the_tree(entity))
    }

    /// Sets the priority of an entity of this tree, among its siblings; of a root among roots.
    ///
    /// # Errors
    /// An entity that is not of this tree.
    pub fn set_priority(&mut self, entity: EntityId, priority: i8) -> Result<(), Failure> {
        self.check_entity(entity)?;
        self.tx.set_priority(entity.number, priority);
        Ok(())
    }

    /// Calls another entity of the tree, in this transaction.
    ///
    /// # Errors
    /// An entity that is not of this tree, or whose handler is running already (calls are not
    /// reentrant); a failure of the callee. All but the first two roll this transaction back, even
    /// if the caller goes on: the callee may have done half of what it wanted.
    pub fn call<C: LocalCall>(
        &mut self,
        callee: EntityId,
        request: &C,
    ) -> Result<C::Answer, Failure> {
        self.check_entity(callee)?;
        if self.tx.running.contains(&callee.number) {
            return Err(Failure::new(format!("{callee} is running: calls are not reentrant")));
        }
        let answered = self.run_call(callee.number, &Call::of(request)?);
        let answered = answered.and_then(|done| match done {
            Done::Answered(answer) => answer.read::<C>(),
            Done::Handled => Err(Failure::new("a call was not answered")),
        });
        if let Err(failure) = &answered {
            self.tx.mark_for_roll_back(format!("{} in {callee}: {failure}", C::NAME));
        }
        answered
    }

    fn run_call(&mut self, number: u32, call: &Call) -> Result<Done, Failure> {
        let sbb = self.tx.sbb(self.deliver, self.root, number)?;
        let mut callee = Context::new(self.deliver, &mut *self.tx, self.root, number);
        callee.run(sbb, Run::Call(call))
    }

    pub(crate) fn check_entity(&self, entity: EntityId) -> Result<(), Failure> {
        let is_new_root = entity == self.deliver.entity;
        let is_known = self.tx.entity(self.deliver, entity.number).is_some() || is_new_root;
        match is_known && entity.cell == self.deliver.entity.cell {
            true => Ok(()),
            false => Err(not_of_the_tree(entity)),
        }
    }
}

fn not_of_the_tree(entity: EntityId) -> Failure {
    Failure::new(format!("{entity} is not of this entity tree"))
}
