//! What a person does on a page, and sees there: each waits for the page that it is meant for.
//!
//! A click returns before the page that it leads to is there, and a page may go while it is being read, so nothing here looks only once.

use std::time::Duration;

use thirtyfour::prelude::*;

use super::browser::find;

/// Ten seconds: a busy machine is slow, and a page that does not come never comes.
const LOOKS: u32 = 200;

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Clicks what leads to another page, also to the same one anew, and waits until this one is gone.
pub async fn press(browser: &WebDriver, css: &str) {
    let pressed = tick(browser, css).await;
    for _ in 0..LOOKS {
        if pressed.is_enabled().await.is_err() {
            return;
        }
        a_moment().await;
    }
    panic!("{css} leads nowhere: {}", browser.source().await.unwrap());
}

/// Clicks what leaves the person on the page.
pub async fn tick(browser: &WebDriver, css: &str) -> WebElement {
    for _ in 0..LOOKS {
        let found = find(browser, css).await;
        if found.click().await.is_ok() {
            return found;
        }
        a_moment().await;
    }
    let found = find(browser, css).await;
    found.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    found
}

/// Writes into a field, instead of what stands there.
pub async fn type_in(browser: &WebDriver, css: &str, text: &str) {
    let field = find(browser, css).await;
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Fills in the form that signs in, and sends it.
pub async fn sign_in(browser: &WebDriver, username: &str, password: &str) {
    type_in(browser, "#username", username).await;
    type_in(browser, "#password", password).await;
    press(browser, "main button.primary").await;
}

/// The words of an element.
pub async fn text(browser: &WebDriver, css: &str) -> String {
    for _ in 0..LOOKS {
        if let Ok(text) = find(browser, css).await.text().await {
            return text;
        }
        a_moment().await;
    }
    panic!("{css} does not stay")
}

/// Waits until an element has just these words.
pub async fn reads(browser: &WebDriver, css: &str, words: &str) {
    until(browser, css, words, |text| text == words).await;
}

/// Waits until an element has these words among others.
pub async fn mentions(browser: &WebDriver, css: &str, words: &str) {
    until(browser, css, words, |text| text.contains(words)).await;
}

async fn until(browser: &WebDriver, css: &str, words: &str, fits: impl Fn(&str) -> bool) {
    for _ in 0..LOOKS {
        if let Ok(found) = browser.find(By::Css(css)).await
            && found.text().await.is_ok_and(|text| fits(&text))
        {
            return;
        }
        a_moment().await;
    }
    panic!("{css} does not say {words:?}: {}", browser.source().await.unwrap());
}

/// The recovery codes that are shown.
pub async fn codes(browser: &WebDriver) -> Vec<String> {
    text(browser, ".codes").await.split_whitespace().map(str::to_owned).collect()
}
