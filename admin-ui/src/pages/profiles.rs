//! `/profiles`: the profile tables, the profiles of one, and one profile to edit. Pages read
//! without scripts; a write goes to REST by one (`orders.js`), with the token that the operator
//! types. Values of secrets are never in a page.

use super::{Frame, count, html, query_pairs};
use crate::problem::PageProblem;
use crate::profile_view::{segment, source_word};
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use resilee_core::management::{ProfileSource, ProfileStatus, ProfileTableStatus};
use resilee_sbb::{Attribute, Profile, ProfileTable};

/// Profiles of one page.
const PER_PAGE: usize = 100;

#[derive(Template)]
#[template(path = "profiles.html")]
struct TablesPage<'a> {
    frame: Frame<'a>,
    tables: Vec<(&'static str, &'static str, String)>,
}

/// All tables.
pub async fn tables(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let tables = system.profile_tables().await?;
    let row = |it: &ProfileTableStatus| (it.table.name, it.table.about, count(it.profiles));
    let snapshot = system.snapshot().await?;
    let frame = Frame::new("Profiles", "profiles", "watch=frame", &snapshot);
    html(&TablesPage { frame, tables: tables.iter().map(row).collect() })
}

#[derive(Template)]
#[template(path = "profile_table.html")]
struct TablePage<'a> {
    frame: Frame<'a>,
    table: ProfileTable,
    profiles: String,
    from: String,
    /// Shown attributes: name, and whether they stand on the right as numbers do.
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Row>,
    next: Option<String>,
}

/// One profile in the list.
struct Row {
    name: String,
    link: String,
    cells: Vec<(&'static str, bool, String)>,
    source: &'static str,
}

/// The profiles of one table, from a name on.
pub async fn table(
    system: web::Data<System>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, PageProblem> {
    let pairs = query_pairs(&request)?;
    let from = pairs.into_iter().find(|(name, _)| name == "from");
    let from = from.map(|(_, value)| value).unwrap_or_default();
    let ProfileTableStatus { table, profiles } = system.profile_table(&path).await?;
    let mut found = system.profiles(table.name, &from, PER_PAGE + 1).await?;
    let next = found.get(PER_PAGE).map(|row| segment(&row.name));
    found.truncate(PER_PAGE);
    let shown = table.attributes.iter().filter(|it| !it.secret);
    let shown: Vec<&Attribute> = shown.filter(|it| !table.named_by.contains(&it.name)).collect();
    let snapshot = system.snapshot().await?;
    html(&TablePage {
        frame: Frame::new(table.name, "profiles", "watch=frame", &snapshot),
        table,
        profiles: count(profiles),
        from,
        columns: shown.iter().map(|it| (it.name, is_number(it))).collect(),
        rows: found.iter().map(|row| row_of(&table, &shown, row)).collect(),
        next,
    })
}

fn row_of(table: &ProfileTable, shown: &[&Attribute], row: &ProfileStatus) -> Row {
    let cell = |it: &&Attribute| (it.name, is_number(it), text(it, &row.profile));
    Row {
        name: row.name.clone(),
        link: format!("/profiles/{}/{}", table.name, segment(&row.name)),
        cells: shown.iter().map(cell).collect(),
        source: source_word(row.source),
    }
}

fn is_number(attribute: &Attribute) -> bool {
    use resilee_sbb::AttributeKind::{Decimal, Number};
    matches!(attribute.kind, Number { .. } | Decimal { .. })
}

/// A value as an operator writes it.
fn text(attribute: &Attribute, profile: &Profile) -> String {
    let value = profile.attributes.get(attribute.name);
    value.map(|value| attribute.kind.write(value)).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    frame: Frame<'a>,
    table: ProfileTable,
    name: String,
    /// Where it is written; without its name for a new one.
    action: String,
    named_by: String,
    fields: Vec<Field>,
    is_new: bool,
    is_free: bool,
    source: &'static str,
    is_reset_offered: bool,
}

/// One attribute to edit.
struct Field {
    name: &'static str,
    value: String,
    expects: String,
    /// It stands in the name, which does not change.
    is_fixed: bool,
    is_required: bool,
    is_secret: bool,
    /// A secret that is there.
    is_set: bool,
}

/// One profile, to edit.
pub async fn profile(
    system: web::Data<System>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageProblem> {
    let (table, row) = system.profile(&path.0, &path.1).await?;
    page(&system, table, Some(row)).await
}

/// A profile that is still to be written.
pub async fn new_profile(
    system: web::Data<System>,
    path: web::Path<String>,
) -> Result<HttpResponse, PageProblem> {
    let table = system.profile_table(&path).await?.table;
    page(&system, table, None).await
}

async fn page(
    system: &System,
    table: ProfileTable,
    row: Option<ProfileStatus>,
) -> Result<HttpResponse, PageProblem> {
    let profile = row.as_ref().map(|row| row.profile.clone()).unwrap_or_default();
    let field = |attribute: &Attribute| Field {
        name: attribute.name,
        value: if attribute.secret { String::new() } else { text(attribute, &profile) },
        expects: attribute.kind.expected(),
        is_fixed: row.is_some() && table.named_by.contains(&attribute.name),
        is_required: attribute.required,
        is_secret: attribute.secret,
        is_set: profile.attributes.contains_key(attribute.name),
    };
    let name = row.as_ref().map(|row| row.name.clone()).unwrap_or_default();
    let source = row.as_ref().map_or(ProfileSource::Written, |row| row.source);
    let snapshot = system.snapshot().await?;
    html(&ProfilePage {
        frame: Frame::new(table.name, "profiles", "watch=frame", &snapshot),
        action: format!("/api/v1/profiles/{}/{}", table.name, segment(&name)),
        named_by: table.named_by.join(" "),
        fields: table.attributes.iter().map(field).collect(),
        is_new: row.is_none(),
        is_free: table.named_by.is_empty(),
        source: source_word(source),
        is_reset_offered: source == ProfileSource::WrittenOver,
        name,
        table,
    })
}
