use super::*;
use crate::Visibility;
use crate::catalog::tests::{garden, scratch, settled};

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn slugs(tenants: Vec<Tenant>) -> Vec<String> {
    tenants.into_iter().map(|tenant| tenant.slug.to_string()).collect()
}

fn into_state(state: State) -> TenantUpdate {
    TenantUpdate { state: Some(state), ..TenantUpdate::default() }
}

#[test]
fn a_wiki_is_a_row_with_everything_it_was_given() {
    let (_dir, catalog) = scratch();
    let new = NewTenant {
        title: "Ann's garden".to_owned(),
        owner: Some("ann".to_owned()),
        visibility: Visibility::PublicRead,
        preferences: [("language".to_owned(), "de".to_owned())].into(),
        ..NewTenant::new(slug("garden"))
    };
    let made = catalog.begin_create(&new).unwrap();
    assert_eq!((&made.title, &made.state), (&new.title, &State::Creating));
    assert_eq!(catalog.by_slug(&new.slug).unwrap(), Some(made.clone()));
    assert_eq!(catalog.role_of(made.id, "ann").unwrap(), Some(Role::Owner));
    let active = catalog.activate(made.id).unwrap();
    assert_eq!(active, Tenant { state: State::Active, ..made });
    assert_eq!(catalog.by_id(active.id).unwrap(), Some(active));
}

#[test]
fn a_name_is_taken_from_the_first_moment_until_the_last() {
    let (_dir, catalog) = scratch();
    let new = NewTenant::new(slug("garden"));
    let first = catalog.begin_create(&new).unwrap();
    let taken = || matches!(catalog.begin_create(&new), Err(CatalogError::SlugTaken(_)));
    assert!(taken());
    catalog.activate(first.id).unwrap();
    catalog.begin_delete(first.id).unwrap();
    assert!(taken());
    catalog.finish_delete(first.id).unwrap();
    let second = catalog.begin_create(&new).unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(catalog.by_slug(&new.slug).unwrap(), Some(second));
}

#[test]
fn of_many_creators_one_wins() {
    let (_dir, catalog) = scratch();
    let new = NewTenant::new(slug("garden"));
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| catalog.begin_create(&new).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(made, 1);
}

#[test]
fn a_deleted_wiki_leaves_only_its_row() {
    let (_dir, catalog) = scratch();
    let garden = garden(&catalog);
    let domain = "a.example".parse().unwrap();
    catalog.set_member(garden.id, "ann", Role::Owner).unwrap();
    catalog.add_domain(garden.id, &domain).unwrap();
    catalog.begin_delete(garden.id).unwrap();
    catalog.finish_delete(garden.id).unwrap();
    catalog.finish_delete(garden.id).unwrap();
    assert_eq!(catalog.by_slug(&garden.slug).unwrap(), None);
    assert_eq!(catalog.by_domain(&domain).unwrap(), None);
    assert_eq!(catalog.members(garden.id, None, 9).unwrap(), []);
    assert_eq!(
        catalog.by_id(garden.id).unwrap(),
        Some(Tenant { state: State::Deleted, ..garden.clone() })
    );
    assert!(catalog.set_member(garden.id, "ann", Role::Owner).unwrap_err().is_not_found());
}

#[test]
fn what_was_never_completed_can_be_forgotten() {
    let (_dir, catalog) = scratch();
    let new = NewTenant { owner: Some("ann".to_owned()), ..NewTenant::new(slug("garden")) };
    let id = catalog.begin_create(&new).unwrap().id;
    catalog.forget(id).unwrap();
    assert_eq!(catalog.by_id(id).unwrap(), None);
    assert_eq!(catalog.role_of(id, "ann").unwrap(), None);
    let kitchen = settled(&catalog, "kitchen");
    assert!(catalog.forget(kitchen.id).unwrap_err().is_not_found());
    assert_eq!(catalog.by_id(kitchen.id).unwrap(), Some(kitchen));
}

#[test]
fn an_update_changes_what_it_names() {
    let (_dir, catalog) = scratch();
    let garden = garden(&catalog);
    let suspended = State::Suspended { reason: "unpaid".to_owned() };
    let update = TenantUpdate { title: Some("G".to_owned()), ..into_state(suspended.clone()) };
    let after = catalog.update(garden.id, &update).unwrap();
    assert_eq!(after, Tenant { title: "G".to_owned(), state: suspended, ..garden.clone() });
    let update =
        TenantUpdate { visibility: Some(Visibility::PublicWrite), ..into_state(State::Active) };
    let after = catalog.update(garden.id, &update).unwrap();
    assert_eq!((after.visibility, &after.state), (Visibility::PublicWrite, &State::Active));
    assert_eq!(catalog.update(garden.id, &TenantUpdate::default()).unwrap(), after);
    assert_eq!(catalog.by_id(garden.id).unwrap(), Some(after));
}

#[test]
fn steps_out_of_order_are_refused_and_change_nothing() {
    let (_dir, catalog) = scratch();
    let refused =
        |result: Result<Tenant, _>| matches!(result, Err(CatalogError::Transition { .. }));
    let creating = catalog.begin_create(&NewTenant::new(slug("garden"))).unwrap();
    assert!(refused(catalog.begin_delete(creating.id)));
    assert!(refused(catalog.update(creating.id, &into_state(State::ReadOnly))));
    let active = catalog.activate(creating.id).unwrap();
    assert!(catalog.finish_delete(active.id).unwrap_err().is_conflict());
    for state in [State::Creating, State::Deleting, State::Deleted] {
        let update = TenantUpdate { title: Some("lost".to_owned()), ..into_state(state) };
        assert!(refused(catalog.update(active.id, &update)));
    }
    assert_eq!(catalog.by_id(active.id).unwrap(), Some(active.clone()));
    catalog.begin_delete(active.id).unwrap();
    assert!(refused(catalog.activate(active.id)));
    assert!(catalog.activate(TenantId::random()).unwrap_err().is_not_found());
}

#[test]
fn settled_wikis_are_listed_by_page_in_the_order_of_their_names() {
    let (_dir, catalog) = scratch();
    for name in ["b", "0", "d", "a", "c"] {
        settled(&catalog, name);
    }
    catalog.begin_create(&NewTenant::new(slug("aa"))).unwrap();
    let c = catalog.by_slug(&slug("c")).unwrap().unwrap();
    catalog.begin_delete(c.id).unwrap();
    assert_eq!(slugs(catalog.list(None, 2).unwrap()), ["0", "a"]);
    assert_eq!(slugs(catalog.list(Some(&slug("a")), 2).unwrap()), ["b", "d"]);
    assert_eq!(slugs(catalog.list(Some(&slug("d")), 2).unwrap()), [""; 0]);
}

#[test]
fn unfinished_wikis_are_found_through_their_index() {
    let (_dir, catalog) = scratch();
    settled(&catalog, "kitchen");
    let garden = garden(&catalog);
    catalog.begin_delete(garden.id).unwrap();
    catalog.begin_create(&NewTenant::new(slug("attic"))).unwrap();
    let mut found = slugs(catalog.unfinished().unwrap());
    found.sort();
    assert_eq!(found, ["attic", "garden"]);
    let plan: String = catalog
        .db
        .read::<_, CatalogError>(|connection| {
            let explain = format!("explain query plan {SELECT}{UNFINISHED}");
            Ok(connection.query_row(&explain, [], |row| row.get("detail"))?)
        })
        .unwrap();
    assert!(plan.contains("wikis_unfinished"), "{plan}");
}

#[test]
fn a_name_reserved_later_does_not_hide_the_other_wikis() {
    let (_dir, catalog) = scratch();
    garden(&catalog);
    catalog
        .db
        .write::<_, CatalogError>(|transaction| {
            Ok(transaction.execute("update wikis set slug = 'admin'", [])?)
        })
        .unwrap();
    settled(&catalog, "kitchen");
    assert_eq!(slugs(catalog.list(None, 9).unwrap()), ["admin", "kitchen"]);
}
