//! The page for people, in a real Chromium, by keyboard alone: from an empty project to the downloaded result.

use serde_json::{Value, json};
use tests::browser::{Browser, Look, key};
use tests::client::Folder;
use tests::relay::Relay;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

const LISTEN: &str = include_str!("page/listen.js");
const PRETEND: &str = include_str!("page/pretend.js");
const BASICS: &str = include_str!("page/basics.js");

const LIGHT: Look = Look { width: 1000, scheme: "light" };
const DARK: Look = Look { width: 1000, scheme: "dark" };
/// What a page is looked at with that is enlarged four times: WCAG 2.2, 1.4.10.
const NARROW: Look = Look { width: 320, scheme: "light" };

/// A project, and what its people hold.
struct Project {
    id: String,
    update_tokens: Vec<String>,
    result_token: String,
}

#[tokio::test]
async fn people_follow_a_linkage_in_their_browser() -> Story {
    Installation::tell("page", |here| async move {
        let rest = here.rest().await?;
        let folder = Folder::new("page")?;
        let project = create(&rest, "groups").await?;
        Browser::tell(&folder, async |browser| {
            browser.before_each_page(LISTEN).await?;
            a_token_that_cannot_be_one_is_told(browser, &rest, &project).await?;
            a_party_uploads_in_its_browser(browser, &rest, &folder).await?;
            let run = the_run_is_seen_to_advance(browser, &rest, &project).await?;
            the_histogram_answers_to_the_keyboard(browser, &rest, &project, &run).await?;
            the_result_is_downloaded(browser, &rest, &project, &run).await?;
            the_token_is_forgotten(browser, &project).await?;
            times_are_estimated(browser).await?;
            numbers_are_not_rounded_up(browser).await?;
            an_answer_that_breaks_off_is_no_answer(browser).await?;
            a_receipt_token_opens_what_is_its_partys(browser, &rest).await?;
            everything_that_a_histogram_can_have(browser, &rest, &project, &run).await?;
            a_deleted_run_is_not_shown_any_more(browser, &rest, &project, &run).await?;
            the_project_is_managed(browser, &rest, &project).await
        })
        .await
    })
    .await
}

async fn create(rest: &Rest, result_type: &str) -> anyhow::Result<Project> {
    let request = json!({"schema": {"clkConfig": {"l": 1024}}, "result_type": result_type, "name": "two hospitals",
        "notes": "Consented patients only."});
    let (id, update_tokens, result_token) = rest.create_project(request).await?;
    Ok(Project { id, update_tokens, result_token })
}

/// Opens the page and types project and token in.
async fn type_in(browser: &Browser, rest: &Rest, project: &Project, token: &str) -> Story {
    type_in_at(browser, &format!("{}/", rest.address().await), project, token).await
}

async fn type_in_at(browser: &Browser, address: &str, project: &Project, token: &str) -> Story {
    browser.show(LIGHT).await?;
    browser.go(address).await?;
    assert_eq!(browser.value("document.activeElement.id").await?, "project-id", "one can type at once");
    browser.press(&project.id).await?;
    browser.press(key::TAB).await?;
    browser.press(token).await?;
    assert_eq!(browser.value("document.getElementById('token').type").await?, "password");
    browser.press(key::ENTER).await
}

async fn a_token_that_cannot_be_one_is_told(browser: &Browser, rest: &Rest, project: &Project) -> Story {
    type_in(browser, rest, project, &project.result_token[1..]).await?;
    let said = browser.wait_text("problem", "48 characters").await?;
    assert!(said.contains("47 characters"), "{said}");
    nothing_is_amiss(browser, "page-wrong-token").await?;

    let wrong = "0".repeat(48);
    type_in(browser, rest, project, &wrong).await?;
    let said = browser.wait_text("problem", "token does not allow this").await?;
    assert!(said.starts_with("The token"), "in the words of the service: {said}");
    assert_eq!(browser.text("project").await?, None);
    let complaints = browser.complaints().await?;
    assert!(complaints.iter().all(|text| text.contains("403")), "{complaints:?}");
    Ok(())
}

/// From the invitation to the receipt, over a network that is cut on the way.
async fn a_party_uploads_in_its_browser(browser: &Browser, rest: &Rest, folder: &Folder) -> Story {
    let project = create(rest, "permutations").await?;
    let address = rest.address().await;
    let relay = Relay::to(address.trim_start_matches("http://").to_owned()).await?;
    type_in_at(browser, &format!("http://{}/?party", relay.address), &project, &project.update_tokens[0])
        .await?;
    browser.wait_text("party-title", "two hospitals").await?;
    for section in ["project", "run", "scores", "result", "manage"] {
        assert_eq!(browser.text(section).await?, None, "#{section} is shown");
    }
    nothing_is_amiss(browser, "page-party").await?;

    folder.write("cut.json", r#"{"clks": ["AAAAAAAAAAA=", "AAAA"#)?;
    browser.choose_file("file", &folder.path("cut.json")).await?;
    browser.wait_text("file-problem", "no well-formed JSON").await?;
    std::fs::write(folder.path("packed.json"), [0x1f, 0x8b, 8, 0])?;
    browser.choose_file("file", &folder.path("packed.json")).await?;
    browser.wait_text("file-problem", "packed by gzip").await?;
    // what only the service can know
    folder.write("odd.json", &json!({"clks": ["AAAAAAAAAA=="]}).to_string())?;
    browser.choose_file("file", &folder.path("odd.json")).await?;
    browser.wait_text("file-found", "1 records").await?;
    press_button(browser, "upload").await?;
    browser.wait_text("upload-problem", "multiple of").await?;
    nothing_is_amiss(browser, "page-party-refused").await?;

    // large enough to be under way for a while: the network is cut as soon as the first bytes are on theirs
    let large = json!({"clks": vec![base64_of_ones(); 60_000]}).to_string();
    folder.write("large.json", &large)?;
    browser.choose_file("file", &folder.path("large.json")).await?;
    browser.wait_text("file-found", "60,000 records").await?;
    relay.cut();
    press_button(browser, "upload").await?;
    browser.wait_text("upload-problem", "Nothing is lost").await?;
    relay.mend();
    browser.wait_text("upload-text", "Your data is there").await?;
    let token = browser.value("document.getElementById('receipt-token').value").await?;
    assert_eq!(token.as_str().map(str::len), Some(48), "{token}");
    nothing_is_amiss(browser, "page-party-receipt").await?;
    let described =
        rest.get(&format!("projects/{}", project.id), token.as_str().unwrap()).await?.expect(200)?;
    assert_eq!(described["parties_contributed"], 1);

    browser.tab_to("party-forget").await?;
    browser.press(key::ENTER).await?;
    browser.wait_text("open", "Open a project").await?;
    let kept = "JSON.stringify([document.documentElement.outerHTML, document.getElementById('receipt-token').value])";
    let kept = browser.value(kept).await?.to_string();
    assert!(!kept.contains(token.as_str().unwrap()) && !kept.contains(&project.update_tokens[0]));
    // those that the cut network and the refusal left
    browser.complaints().await?;
    Ok(())
}

/// 128 bytes in base64.
fn base64_of_ones() -> String {
    format!("{}//8=", "/".repeat(168)) // 126 bytes by 168 characters, and two more
}

async fn press_button(browser: &Browser, id: &str) -> Story {
    browser.tab_to(id).await?;
    browser.press(key::ENTER).await
}

/// What the holder of the result token changes: a run is created and cancelled, the tokens are replaced, the project deleted.
async fn the_project_is_managed(browser: &Browser, rest: &Rest, project: &Project) -> Story {
    browser.tab_to("new-threshold").await?;
    browser.press("0.9").await?;
    press_button(browser, "create-run").await?;
    browser.wait_text("run-facts", "threshold 0.9").await?;
    browser.wait_text("run-headline", "Complete: the result is there").await?;
    nothing_is_amiss(browser, "page-manage").await?;

    press_button(browser, "rotate").await?;
    browser.wait_text("question", "Replace all tokens?").await?;
    press_button(browser, "question-yes").await?;
    browser.wait_text("new-tokens", "shown this once").await?;
    rest.get(&format!("projects/{}", project.id), &project.result_token).await?.expect(403)?;
    // the page goes on with the new token
    press_button(browser, "delete-run").await?;
    browser.wait_text("question", "Delete the run?").await?;
    press_button(browser, "question-yes").await?;
    browser.wait_text("no-run", "There is no run yet").await?;
    press_button(browser, "delete-project").await?;
    browser.wait_text("question", "cannot be undone").await?;
    press_button(browser, "question-yes").await?;
    browser.wait_text("open", "Open a project").await?;
    assert_eq!(browser.text("manage").await?, None);
    Ok(())
}

async fn the_run_is_seen_to_advance(
    browser: &Browser,
    rest: &Rest,
    project: &Project,
) -> anyhow::Result<String> {
    type_in(browser, rest, project, &project.result_token).await?;
    browser.wait_text("project-title", "two hospitals").await?;
    browser.wait_text("parties-summary", "0 of 2 parties have uploaded").await?;
    browser.wait_text("no-run", "There is no run yet").await?;
    let address = browser.value("location.href").await?.as_str().unwrap_or_default().to_owned();
    assert!(address.ends_with(&format!("/#project={}", project.id)), "a link without the token: {address}");

    let run = rest.create_run(&project.id, &project.result_token, 0.8).await?;
    browser.wait_text("run-headline", "Waiting for the data of all parties").await?;
    upload(rest, project, 0).await?;
    browser.wait_text("parties-summary", "1 of 2 parties has uploaded").await?;
    let parties = browser.text("parties").await?.unwrap_or_default();
    for shown in ["party-1", "✓ there since", "1,000", "party-2", "not there yet"] {
        assert!(parties.contains(shown), "{shown} is not in: {parties}");
    }
    nothing_is_amiss(browser, "page-waiting").await?;

    upload(rest, project, 1).await?;
    browser.wait_text("run-headline", "Complete: the result is there").await?;
    browser.wait_text("parties-summary", "Both parties have uploaded.").await?;
    let facts = browser.wait_text("run-facts", "1,000,000 comparisons").await?;
    assert!(facts.contains("threshold 0.8"), "{facts}");
    let heard: Vec<String> = serde_json::from_value(browser.value("heard").await?)?;
    let order = [
        "Waiting for the data of all parties",
        "Waiting for its turn",
        "Comparing records",
        "Preparing the result",
        "Complete: the result is there",
    ];
    let places: Vec<_> = heard.iter().map(|said| order.iter().position(|known| known == said)).collect();
    assert!(
        places.is_sorted_by(|a, b| a < b) && !places.contains(&None),
        "stages, each said once: {heard:?}"
    );
    assert_eq!((places.first(), places.last()), (Some(&Some(0)), Some(&Some(4))), "{heard:?}");
    Ok(run)
}

/// A party uploads; gives its receipt token.
async fn upload(rest: &Rest, project: &Project, party: usize) -> anyhow::Result<String> {
    let file = ["thousand/hospital-a.json", "thousand/hospital-b.json"][party];
    let path = format!("projects/{}/clks", project.id);
    let body = Body::document(data::read(file)?);
    let receipt = rest.post(&path, &project.update_tokens[party], body).await?.expect(201)?;
    Ok(receipt["receipt_token"].as_str().unwrap_or_default().to_owned())
}

async fn the_histogram_answers_to_the_keyboard(
    browser: &Browser,
    rest: &Rest,
    project: &Project,
    run: &str,
) -> Story {
    let path = format!("projects/{}/runs/{run}/histogram", project.id);
    let answer = rest.get(&path, &project.result_token).await?;
    if answer.status == 404 {
        browser.wait_text("no-scores", "No histogram").await?;
    } else {
        the_slider_counts(browser, &answer.expect(200)?).await?;
    }
    nothing_is_amiss(browser, "page-complete").await?;
    let complaints = browser.complaints().await?;
    assert!(
        complaints.iter().all(|text| text.contains("/histogram") && text.contains("404")),
        "{complaints:?}"
    );
    Ok(())
}

/// Moves the slider three steps up and one down; what is shown beside it is right each time.
async fn the_slider_counts(browser: &Browser, document: &Value) -> Story {
    browser.wait_text("scores-body", "Pairs at or above").await?;
    browser.tab_to("threshold").await?;
    let number = |name: &str| document[name].as_f64().unwrap();
    let mut bin = ((number("threshold") - number("floor")) / number("bin_width")).round() as usize;
    for arrow in [key::RIGHT, key::RIGHT, key::RIGHT, key::LEFT] {
        browser.press(arrow).await?;
        bin = if arrow == key::RIGHT { bin + 1 } else { bin - 1 };
        let threshold = number("floor") + bin as f64 * number("bin_width");
        let shown: f64 = browser.text("threshold-value").await?.unwrap_or_default().parse()?;
        assert!((shown - threshold).abs() < 1e-6, "{shown} for {threshold}");
        let histograms = document["histograms"].as_array().unwrap();
        let counts = histograms.iter().map(|one| one["counts"].as_array().unwrap());
        let expected: f64 = counts.flat_map(|counts| counts.iter().skip(bin)).filter_map(Value::as_f64).sum();
        let facts = browser.text("at-threshold").await?.unwrap_or_default();
        let shown = facts.lines().find(|line| line.chars().any(|c| c.is_ascii_digit())).unwrap_or_default();
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        assert!(
            (digits.parse::<f64>()? - expected).abs() <= 0.51,
            "{expected} pairs at {threshold}: {facts}"
        );
        let spoken = browser.value("document.getElementById('threshold').ariaValueText").await?;
        assert!(spoken.as_str().is_some_and(|spoken| spoken.contains(shown.trim())), "{spoken} {shown}");
    }
    Ok(())
}

async fn the_result_is_downloaded(browser: &Browser, rest: &Rest, project: &Project, run: &str) -> Story {
    the_result_is_downloaded_as_a_table(browser, rest, project, run).await?;
    browser.tab_to("format").await?;
    browser.press("J").await?;
    browser.press(key::TAB).await?;
    browser.press(key::ENTER).await?;
    let (name, content) = browser.downloaded().await?;
    browser.wait_text("download-text", &format!("Downloaded: {name}")).await?;
    assert!(name.starts_with("groups-") && name.ends_with(".json"), "{name}");
    assert!(!name.contains(&project.result_token));
    let expected = rest.result(&project.id, run, &project.result_token).await?;
    assert_eq!(serde_json::from_slice::<Value>(&content)?, expected);
    Ok(())
}

/// By the keyboard: a letter chooses the format, the next stop is the button.
async fn the_result_is_downloaded_as_a_table(
    browser: &Browser,
    rest: &Rest,
    project: &Project,
    run: &str,
) -> Story {
    browser.tab_to("format").await?;
    let offered = "[...document.getElementById('format').options].map(option => option.value).join()";
    assert_eq!(browser.value(offered).await?, "json,csv,ndjson,parquet");
    browser.press("C").await?;
    assert_eq!(browser.value("document.getElementById('format').value").await?, "csv");
    browser.press(key::TAB).await?;
    assert_eq!(browser.value("document.activeElement.id").await?, "download");
    browser.press(key::ENTER).await?;
    let (name, content) = browser.downloaded().await?;
    browser.wait_text("download-text", &format!("Downloaded: {name}")).await?;
    assert!(name.starts_with("groups-") && name.ends_with(".csv"), "{name}");
    let path = format!("projects/{}/runs/{run}/result.csv", project.id);
    let expected = rest.download(&path, &project.result_token, &[]).await?;
    assert!(content == expected.bytes && content.starts_with(b"group,party,record,score\r\n"));
    Ok(())
}

async fn the_token_is_forgotten(browser: &Browser, project: &Project) -> Story {
    browser.tab_to("forget").await?;
    browser.press(key::ENTER).await?;
    browser.wait_text("open", "Open a project").await?;
    for section in ["project", "run", "scores", "result", "manage"] {
        assert_eq!(browser.text(section).await?, None, "#{section} is shown");
    }
    let kept = "JSON.stringify([document.documentElement.outerHTML, document.getElementById('token').value, location.href, \
                document.cookie, {...localStorage}, {...sessionStorage}])";
    let kept = browser.value(kept).await?.to_string();
    assert!(kept.contains(&project.id) && !kept.contains(&project.result_token));
    Ok(())
}

/// A run as short as those of the tests has no time left to be told.
async fn times_are_estimated(browser: &Browser) -> Story {
    let of = async |shares: &str| {
        let expression = format!(
            "import(new URL('page/remaining.js', document.baseURI)).then(({{ Remaining, inWords }}) => {{ \
             const remaining = new Remaining(); \
             {shares}.forEach(([second, share]) => remaining.note(share, second * 1000)); \
             const seconds = remaining.seconds(); \
             return seconds === null ? null : inWords(seconds); }})"
        );
        browser.value(&expression).await
    };
    for unknown in [
        "[]",
        "[[0, 0]]",
        "[[0, 0], [1, 0.5]]",
        "[[0, 0], [1, 0.1], [2, 0.2]]",
        "[[0, 0.2], [10, 0.2], [20, 0.2], [30, 0.2]]",
        "[[0, 0], [5, 0.5], [10, 1]]",
        "[[0, 0.5], [5, 0.6], [10, 0.1]]",
        // it has stood still for longer than the speed is taken from
        "[[0, 0], [5, 0.1], [10, 0.2], [15, 0.2], [100, 0.2]]",
    ] {
        assert_eq!(of(unknown).await?, Value::Null, "{unknown}");
    }
    for (shares, expected) in [
        ("[[0, 0], [5, 0.5], [10, 0.9]]", "a few seconds left"),
        ("[[0, 0], [5, 0.1], [10, 0.2]]", "about 40 seconds left"),
        ("[[0, 0], [5, 0.01], [20, 0.1]]", "about 3 minutes left"),
        ("[[0, 0], [5, 0.001], [10, 0.002]]", "about 83 minutes left"),
        ("[[0, 0], [10, 0.0001], [20, 0.0002]]", "about 28 hours left"),
        ("[[0, 0], [10, 0.00001], [20, 0.00002]]", "about 12 days left"),
        // as fast as of late, not as since the beginning
        ("[[0, 0], [1000, 0.1], [1030, 0.2], [1060, 0.3]]", "about 4 minutes left"),
    ] {
        assert_eq!(of(shares).await?, expected, "{shares}");
    }
    Ok(())
}

async fn numbers_are_not_rounded_up(browser: &Browser) -> Story {
    for (number, expected) in [
        ("percent(0.29)", "29 %"),
        ("percent(0.999)", "99 %"),
        ("percent(1)", "100 %"),
        ("share(0.569)", "56.9 %"),
        ("share(0.9999)", "99.9 %"),
        ("share(1)", "over 99.9 %"),
    ] {
        let expression =
            format!("import(new URL('page/words.js', document.baseURI)).then(words => words.{number})");
        assert_eq!(browser.value(&expression).await?, expected, "{number}");
    }
    Ok(())
}

/// It is asked for again, instead of closing the project.
async fn an_answer_that_breaks_off_is_no_answer(browser: &Browser) -> Story {
    let expression = "import(new URL('page/service.js', document.baseURI)).then(async ({ Service, Unreachable }) => { \
        const asked = window.fetch; \
        window.fetch = async () => new Response('{\"project_id\": '); \
        const answer = new Service('project', 'token').project(new AbortController().signal); \
        const unreachable = await answer.then(() => false, error => error instanceof Unreachable); \
        window.fetch = asked; \
        return unreachable; })";
    assert_eq!(browser.value(expression).await?, true);
    Ok(())
}

/// The party's own permutation and the size of its own data, nothing of the other's.
async fn a_receipt_token_opens_what_is_its_partys(browser: &Browser, rest: &Rest) -> Story {
    let project = create(rest, "permutations").await?;
    let receipts = [upload(rest, &project, 0).await?, upload(rest, &project, 1).await?];
    let run = rest.create_run(&project.id, &project.result_token, 0.8).await?;
    type_in(browser, rest, &project, &receipts[1]).await?;
    browser.wait_text("result-kind", "Your party's permutation").await?;

    let link = format!("{}/?receipt#project={}&run={run}", rest.address().await, project.id);
    browser.go(&link).await?;
    browser.press(&receipts[1]).await?;
    browser.press(key::ENTER).await?;
    browser.wait_text("result-kind", "Your party's permutation").await?;
    let parties = browser.text("parties").await?.unwrap_or_default();
    assert_eq!(parties.matches("✓ there since").count(), 1, "{parties}");
    assert_eq!(parties.matches("1,000").count(), 1, "{parties}");
    assert_eq!(browser.text("scores").await?, None);
    browser.screenshot("page-receipt-light", LIGHT).await?;
    browser.show(LIGHT).await?;
    browser.tab_to("download").await?;
    browser.press(key::ENTER).await?;
    let (name, content) = browser.downloaded().await?;
    assert!(name.starts_with("permutation-"), "{name}");
    let expected = rest.result(&project.id, &run, &receipts[1]).await?;
    assert_eq!(serde_json::from_slice::<Value>(&content)?, expected);
    let complaints = browser.complaints().await?;
    assert!(complaints.iter().all(|text| text.contains("/runs ") && text.contains("403")), "{complaints:?}");
    Ok(())
}

/// Estimates below the threshold, a suggestion, and three parties: drawn from a made-up histogram. And the result goes
/// straight to a file where the browser can do that.
async fn everything_that_a_histogram_can_have(
    browser: &Browser,
    rest: &Rest,
    project: &Project,
    run: &str,
) -> Story {
    let histogram = made_up_histogram();
    browser.before_each_page(&format!("const HISTOGRAM = {histogram};\n{PRETEND}")).await?;
    let link = format!("{}/?again#project={}&run={run}", rest.address().await, project.id);
    browser.go(&link).await?;
    assert_eq!(browser.value("document.activeElement.id").await?, "token", "the link has named the project");
    browser.press(&project.result_token).await?;
    browser.press(key::ENTER).await?;
    the_slider_counts(browser, &histogram).await?;
    assert_eq!(browser.value("document.querySelectorAll('#chart rect').length").await?, 40);
    assert_eq!(browser.value("document.querySelectorAll('#chart [fill^=url]').length").await?, 20);
    assert_eq!(browser.value("document.querySelectorAll('#scores-table tbody tr').length").await?, 40);
    browser.wait_text("legend", "Hatched bars are estimated").await?;
    browser.wait_text("suggestion", "Suggestion: 0.85").await?;
    browser.tab_to("suggestion-show").await?;
    browser.press(key::ENTER).await?;
    assert_eq!(browser.text("threshold-value").await?.as_deref(), Some("0.85"));
    browser.wait_text("at-threshold", "75.0 %").await?;
    nothing_is_amiss(browser, "page-histogram").await?;

    browser.tab_to("download").await?;
    browser.press(key::ENTER).await?;
    let said = browser.wait_text("download-text", "Downloaded: ").await?;
    let name = said.trim_start_matches("Downloaded: ").split(',').next().unwrap_or_default();
    let file = format!(
        "navigator.storage.getDirectory().then(folder => folder.getFileHandle({name:?}))\
         .then(handle => handle.getFile()).then(file => file.text())"
    );
    let content: Value = serde_json::from_str(browser.value(&file).await?.as_str().unwrap_or_default())?;
    assert_eq!(content, rest.result(&project.id, run, &project.result_token).await?);
    assert_eq!(browser.complaints().await?, [""; 0]);
    Ok(())
}

/// Neither its histogram nor its result stays, as if they were another run's.
async fn a_deleted_run_is_not_shown_any_more(
    browser: &Browser,
    rest: &Rest,
    project: &Project,
    run: &str,
) -> Story {
    let path = format!("projects/{}/runs/{run}", project.id);
    rest.delete(&path, &project.result_token).await?.expect(204)?;
    // as when its tab is shown again: a look at once
    browser.value("document.dispatchEvent(new Event('visibilitychange'))").await?;
    browser.wait_text("run-gone", "is not in this project, or not any more").await?;
    browser.wait_text("no-run", "There is no run yet").await?;
    for part in ["run-state", "scores", "result"] {
        assert_eq!(browser.text(part).await?, None, "#{part} is shown");
    }
    Ok(())
}

fn made_up_histogram() -> Value {
    let counts = |scale: f64| -> Vec<f64> {
        let count = |bin: i32| {
            let (unlike, like) = ((-0.4 * f64::from(bin)).exp(), (-f64::from(bin - 33).powi(2) / 18.0).exp());
            (scale * (1e7 * unlike + 300.0 * like)).round()
        };
        (0..40).map(count).collect()
    };
    let histograms: Vec<_> = [([0, 1], 1.0), ([0, 2], 0.5), ([1, 2], 0.3)]
        .map(|(datasets, scale)| {
            json!({"datasets": datasets, "counts": counts(scale), "exact_from": 0.8, "sampled_share": 0.02})
        })
        .into();
    let estimates: Vec<_> = (0..20)
        .map(|step| {
            let above = f64::from(step) / 100.0;
            json!({"threshold": 0.8 + above, "pairs": 1.0, "precision": (0.5 + 5.0 * above).min(0.999),
                "recall": 0.99 - above})
        })
        .collect();
    json!({"threshold": 0.8, "floor": 0.6, "bin_width": 0.01, "histograms": histograms, "estimates": estimates,
        "suggestion": {"threshold": 0.85, "precision": 0.75, "recall": 0.94, "reason": "It is made up."},
        "method": "made up, to be looked at", "reason": null})
}

/// Looks at the page in light, in dark, and narrow; leaves a picture of each.
async fn nothing_is_amiss(browser: &Browser, name: &str) -> Story {
    for (suffix, look) in [("light", LIGHT), ("dark", DARK), ("narrow", NARROW)] {
        browser.screenshot(&format!("{name}-{suffix}"), look).await?;
        let amiss = browser.value(&format!("(() => {{ {BASICS} }})()")).await?;
        assert_eq!(amiss, json!([]), "{name}, {suffix}");
    }
    browser.show(LIGHT).await?;
    assert_eq!(browser.value("refused").await?, json!([]), "the policy has refused something");
    Ok(())
}
