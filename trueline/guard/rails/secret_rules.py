"""How the tokens of services are written: their public prefix, alphabet and length, and the word that must stand in a text
before the pattern is tried.

One line a format: name, keywords (separated by blanks, lower case), pattern (RE2). Patterns are read without regard to case,
so that a token is also found in the folded view of a text; `\\w` is a letter, a digit or an underscore. Random bodies have an
entropy that placeholders ("xxxx", "your-key-here") lack: `secrets` asks for it, so that a pattern need not.

>>> len({rule.name for rule in RULES}) > 90
True
"""

from __future__ import annotations

from dataclasses import dataclass

_HEX = "[0-9a-f]"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRule:
    """One format of a secret."""

    name: str
    keywords: tuple[str, ...]
    pattern: str


_TABLE: tuple[tuple[str, str, str], ...] = (
    # clouds
    ("aws_access_key", "akia asia abia acca", r"(?:akia|asia|abia|acca)[a-z2-7]{16}"),
    ("aws_bedrock_key", "absk", r"absk[a-z0-9+/]{100,}={0,2}"),
    ("gcp_api_key", "aiza", r"aiza[\w-]{35,}"),
    ("google_oauth_secret", "gocspx-", r"gocspx-[\w-]{28,}"),
    ("google_oauth_token", "ya29.", r"ya29\.[\w-]{30,}"),
    ("google_refresh_token", "1//0", r"1//0[\w-]{40,}"),
    ("azure_storage_key", "accountkey", r"accountkey=[a-z0-9+/]{86}=="),
    ("azure_client_secret", "8q~ 7q~", r"[\w~.-]{3}[78]q~[\w~.-]{31,34}"),
    ("azure_devops_token", "azdo", r"[a-z0-9]{76}azdo[a-z0-9]{4}"),
    ("azure_shared_signature", "sig=", r"[?&]sig=[a-z0-9%+/]{43,}(?:=|%3d)"),
    ("alibaba_access_key", "ltai", r"ltai[a-z0-9]{12,24}"),
    ("tencent_secret_id", "akid", r"akid[a-z0-9]{32,}"),
    ("yandex_api_key", "aqvn", r"aqvn[\w-]{35,}"),
    ("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", rf"do[por]_v1_{_HEX}{{64}}"),
    ("heroku_token", "hrku-aa", r"hrku-aa[\w-]{58,}"),
    ("fly_token", "fm1 fm2 fo1_", r"(?:fo1_[\w-]{43,}|fm[12][ar]?_[a-z0-9+/]{80,}={0,2})"),
    ("netlify_token", "nfp_", r"nfp_[a-z0-9]{36,}"),
    ("cloudflare_origin_key", "v1.0-", rf"v1\.0-{_HEX}{{24}}-{_HEX}{{100,}}"),
    ("scaleway_key", "scw", r"scw[a-z0-9]{17}"),
    ("pulumi_token", "pul-", rf"pul-{_HEX}{{40}}"),
    ("terraform_token", ".atlasv1.", r"[a-z0-9]{14}\.atlasv1\.[\w-]{60,}"),
    ("vault_token", "hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}"),
    ("doppler_token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{1,40}\.)?[a-z0-9]{40,44}"),
    ("onepassword_token", "ops_eyj", r"ops_eyj[\w+/-]{200,}={0,2}"),
    ("age_key", "age-secret-key-1", r"age-secret-key-1[a-z0-9]{58}"),
    ("tailscale_key", "tskey-", r"tskey-[a-z]{2,12}-[a-z0-9]{8,}-[a-z0-9]{16,}"),
    # models
    ("openai_key", "t3blbkfj", r"sk-(?:proj-|svcacct-|admin-)?[\w-]{20,120}t3blbkfj[\w-]{20,120}"),
    ("openai_legacy_key", "sk-", r"sk-[a-z0-9]{48,}"),
    ("anthropic_key", "sk-ant-", r"sk-ant-[a-z]{3,8}[0-9]{2}-[\w-]{80,}"),
    ("openrouter_key", "sk-or-v1-", rf"sk-or-v1-{_HEX}{{64}}"),
    ("huggingface_token", "hf_ api_org_", r"(?:hf|api_org)_[a-z]{34,}"),
    ("replicate_token", "r8_", r"r8_[a-z0-9]{37,}"),
    ("groq_key", "gsk_", r"gsk_[a-z0-9]{52,}"),
    ("xai_key", "xai-", r"xai-[a-z0-9]{80}"),
    ("perplexity_key", "pplx-", r"pplx-[a-z0-9]{48}"),
    ("nvidia_key", "nvapi-", r"nvapi-[\w-]{60,}"),
    ("together_key", "tgp_v1_", r"tgp_v1_[\w-]{43}"),
    ("langsmith_key", "lsv2_", rf"lsv2_(?:pt|sk)_{_HEX}{{32}}_{_HEX}{{10}}"),
    ("langfuse_key", "sk-lf-", rf"sk-lf-{_UUID}"),
    ("pinecone_key", "pcsk_", r"pcsk_\w{60,}"),
    ("elevenlabs_key", "sk_", rf"sk_{_HEX}{{48}}"),
    # code and packages
    ("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[a-z0-9]{36,}"),
    ("github_fine_grained", "github_pat_", r"github_pat_\w{82,}"),
    ("gitlab_token", "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- gloas-",
     r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[\w.-]{20,}"),
    ("gitlab_runner_registration", "gr1348941", r"gr1348941[\w-]{20,}"),
    ("bitbucket_token", "atbb", r"atbb[a-z0-9]{32,}"),
    ("atlassian_token", "atatt3", r"atatt3[\w=-]{100,}"),
    ("npm_token", "npm_", r"npm_[a-z0-9]{36,}"),
    ("pypi_token", "pypi-age", r"pypi-age(?:ichlwas5vcmc|ndgvzdc5wexbplm9yzw)[\w-]{50,}"),
    ("rubygems_token", "rubygems_", rf"rubygems_{_HEX}{{48}}"),
    ("crates_token", "cio", r"cio[a-z0-9]{32}"),
    ("nuget_key", "oy2", r"oy2[a-z0-9]{43}"),
    ("clojars_token", "clojars_", r"clojars_[a-z0-9]{60}"),
    ("docker_token", "dckr_pat_ dckr_oat_", r"dckr_[po]at_[\w-]{27,}"),
    ("artifactory_key", "akcp", r"akcp[a-z0-9]{69}"),
    ("artifactory_reference", "cmvmdgtu", r"cmvmdgtu[a-z0-9]{56}"),
    ("sourcegraph_token", "sgp_", rf"sgp_(?:[a-z0-9]{{5,16}}_)?{_HEX}{{40}}"),
    ("circleci_token", "ccipat_", rf"ccipat_[a-z0-9]{{22}}_{_HEX}{{40}}"),
    ("buildkite_token", "bkua_", rf"bkua_{_HEX}{{40}}"),
    ("prefect_key", "pnu_", r"pnu_[a-z0-9]{36}"),
    ("postman_key", "pmak-", rf"pmak-{_HEX}{{24}}-{_HEX}{{34}}"),
    ("readme_key", "rdme_", r"rdme_[a-z0-9]{70}"),
    # messages and mail
    ("slack_token", "xoxa xoxb xoxe xoxp xoxr xoxs", r"xox[baprse][-.][a-z0-9.-]{20,}"),
    ("slack_app_token", "xapp-", r"xapp-[0-9]-[a-z0-9]{8,}-[0-9]{8,}-[a-z0-9]{32,}"),
    ("slack_webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/[a-z0-9/]{30,}"),
    ("discord_token", ".", r"[mno][a-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,38}"),
    ("discord_webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/[0-9]{15,21}/[\w-]{60,}"),
    ("teams_webhook", "webhook.office.com", rf"webhook\.office\.com/webhookb2/{_UUID}@{_UUID}/incomingwebhook/[\w/-]{{30,}}"),
    ("telegram_token", ":aa", r"[0-9]{8,10}:aa[\w-]{33}"),
    ("twilio_key", "sk", rf"sk{_HEX}{{32}}\b"),
    ("sendgrid_key", "sg.", r"sg\.[\w-]{22}\.[\w-]{43}"),
    ("mailgun_key", "key-", rf"key-{_HEX}{{32}}"),
    ("mailchimp_key", "-us", rf"{_HEX}{{32}}-us[0-9]{{1,2}}\b"),
    ("brevo_key", "xkeysib-", rf"xkeysib-{_HEX}{{64}}-[a-z0-9]{{16}}"),
    ("resend_key", "re_", r"re_[a-z0-9]{8}_[a-z0-9]{24}"),
    # money
    ("stripe_key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[rs]k_(?:live|test)_[a-z0-9]{20,}"),
    ("stripe_webhook", "whsec_", r"whsec_[a-z0-9+/=]{32,}"),
    ("square_token", "sq0atp- sq0csp- eaaa", r"(?:sq0(?:atp-[\w-]{22}|csp-[\w-]{43})|eaaa[\w-]{60})"),
    ("paypal_braintree_token", "access_token$", rf"access_token\$(?:production|sandbox)\$[a-z0-9]{{16}}\${_HEX}{{32}}"),
    ("plaid_token", "access-", rf"access-(?:sandbox|development|production)-{_UUID}"),
    ("razorpay_key", "rzp_", r"rzp_(?:live|test)_[a-z0-9]{14}"),
    ("flutterwave_key", "flwseck", r"flwseck(?:_test)?-[a-z0-9]{32}-x"),
    ("adyen_key", "aqe", r"aqe[a-z0-9]{3}[\w+/=-]{80,}"),
    ("shopify_token", "shpat_ shpca_ shppa_ shpss_", rf"shp(?:at|ca|pa|ss)_{_HEX}{{32}}"),
    ("easypost_key", "ezak eztk", r"ez[at]k[a-z0-9]{54}"),
    ("shippo_token", "shippo_", rf"shippo_(?:live|test)_{_HEX}{{40}}"),
    ("duffel_token", "duffel_", r"duffel_(?:live|test)_[\w-]{43}"),
    # data, watching, work
    ("supabase_token", "sbp_ sb_secret_", rf"(?:sbp_{_HEX}{{40}}|sb_secret_[\w-]{{20,}})"),
    ("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,}"),
    ("databricks_token", "dapi", rf"dapi{_HEX}{{32}}"),
    ("grafana_token", "glsa_ glc_", rf"(?:glsa_[a-z0-9]{{32}}_{_HEX}{{8}}|glc_[a-z0-9+/]{{32,}}={{0,2}})"),
    ("newrelic_key", "nrak- nrii-", r"(?:nrak-[a-z0-9]{27}|nrii-[\w-]{32})"),
    ("sentry_token", "sntrys_ sntryu_", rf"(?:sntrys_eyj[\w+/=-]{{40,}}|sntryu_{_HEX}{{64}})"),
    ("dynatrace_token", "dt0c01. dt0s01.", r"dt0[cs]01\.[a-z0-9]{24}\.[a-z0-9]{64}"),
    ("posthog_key", "phx_", r"phx_\w{32,}"),
    ("linear_key", "lin_api_", r"lin_api_[a-z0-9]{40}"),
    ("notion_token", "ntn_ secret_", r"(?:ntn_[0-9]{11}[a-z0-9]{35}|secret_[a-z0-9]{43})"),
    ("airtable_token", "pat", rf"pat[a-z0-9]{{14}}\.{_HEX}{{64}}"),
    ("figma_token", "figd_", r"figd_[\w-]{40,}"),
    ("contentful_token", "cfpat-", r"cfpat-[\w-]{43}"),
    ("hubspot_token", "pat-na pat-eu pat-ap", rf"pat-(?:na|eu|ap)[0-9]-{_UUID}"),
    ("typeform_token", "tfp_", r"tfp_[\w.=-]{40,}"),
    ("mapbox_secret", "sk.eyj", r"sk\.eyj[\w-]{30,}\.[\w-]{20,}"),
    ("dropbox_token", "sl.", r"sl\.(?:u\.)?[\w-]{120,}"),
    ("facebook_token", "eaa", r"eaa(?:c|m)?[a-z0-9]{100,}"),
    ("twitter_bearer", "aaaaaaaaaaaaaaaaaaaa", r"a{20,22}[\w%]{80,}"),
    ("jwt", "eyj", r"eyj[\w-]{10,}\.eyj[\w-]{10,}\.[\w-]{10,}"),
    # not a service's: keys and passwords
    ("private_key", "private key",
     r"-----begin(?: [a-z0-9]+){0,3} private key(?: block)?-----(?:\s*[a-z-]{1,20}: [^\n]{1,80})*"
     r"(?:(?:\s|\\[nr])*[a-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[a-z0-9+/=]+)?(?:(?:\s|\\[nr])*-----end[a-z0-9 ]{0,40}-----)?"),
    ("putty_key", "putty-user-key-file", r"putty-user-key-file-[23]: [\w-]+[^\x00]*?private-mac: [0-9a-f]{40,64}"),
    ("bearer_header", "bearer basic", r"authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|basic)\s+[\w.~+/-]{16,}={0,2}"),
)  # fmt: skip

RULES: tuple[SecretRule, ...] = tuple(
    SecretRule(name=name, keywords=tuple(keywords.split()), pattern=rf"(?i)(?:\b|_)(?:{pattern})")
    if not pattern.startswith(("-", "[?&]"))
    else SecretRule(name=name, keywords=tuple(keywords.split("|")), pattern=f"(?i){pattern}")
    for name, keywords, pattern in _TABLE
)
