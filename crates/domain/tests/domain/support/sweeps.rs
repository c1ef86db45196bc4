//! What tests of sweeps share: their limits, pages without a wire, and the ids of a list.

use domain::hub::{Id, Named};
use domain::listing::Item;
use domain::sweep::{DoubleRead, Limits, List, Paging, Rows, Sweep};
use rand::RngExt;
use rand::rngs::SmallRng;

pub(crate) fn limits(paging: Paging, page_rows_max: u32, paging_proven: bool) -> Limits {
    Limits {
        paging,
        page_rows_max,
        rows_max: 100_000,
        double_read: DoubleRead::Auto,
        paging_proven,
        stop_at_first: false,
    }
}

pub(crate) fn page_with(ids: impl IntoIterator<Item = u64>, total: u64) -> Rows {
    let mut rows = Rows { total, ..Rows::default() };
    for id in ids {
        rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
        let shown = Named { id: Id::Number(id), name: None };
        rows.push_item(Item { key: id, id: "".into(), shown, level: None, message: None });
    }
    rows
}

pub(crate) fn ids_of(list: &List) -> Vec<u64> {
    let bytes: Vec<u8> = list.parts.iter().flat_map(|part| part.to_vec()).collect();
    let text = String::from_utf8(bytes).unwrap();
    let ids: Vec<u64> = text.split(',').skip(1).map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len() as u64, list.rows);
    assert!(list.items.iter().map(|item| item.key).eq(ids.iter().copied()));
    ids
}

/// Half of the sweeps expect something of a list of so many rows, and that is hardly ever right.
pub(crate) fn perhaps_expecting(sweep: Sweep, rows: u64, rng: &mut SmallRng) -> Sweep {
    if rng.random_bool(0.5) { sweep.expecting(rng.random_range(0..=2 * rows)) } else { sweep }
}
