//! How well-known processors answer: data files of the shape of a profile, compiled in. What their documentation leaves
//! open is marked in each file's `about`; a user who needs it otherwise copies the file into `profiles` and changes it.

use super::raw;

/// Every preset: its name, and its file.
pub const PRESETS: [(&str, &str); 8] = [
    ("adyen", include_str!("../../presets/adyen.json")),
    ("braintree", include_str!("../../presets/braintree.json")),
    ("checkout_com", include_str!("../../presets/checkout_com.json")),
    ("generic", include_str!("../../presets/generic.json")),
    ("paypal", include_str!("../../presets/paypal.json")),
    ("square", include_str!("../../presets/square.json")),
    ("stripe", include_str!("../../presets/stripe.json")),
    ("worldpay", include_str!("../../presets/worldpay.json")),
];

/// The preset of a name; the error says which there are, or what is wrong with the file.
pub(super) fn load(name: &str) -> Result<raw::Profile, String> {
    let Some((_, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) else {
        let names: Vec<_> = PRESETS.iter().map(|(preset, _)| *preset).collect();
        return Err(format!("no preset is called {name:?}: {}", names.join(", ")));
    };
    serde_json::from_str(text).map_err(|e| format!("the preset {name:?} does not read: {e}"))
}
