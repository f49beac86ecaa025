"""The wordings of jailbreaks: a persona without rules, a frame in which nothing counts, no refusing, a fixed opening.

Weights add up (graded.py): a story or a role alone is worth 1 and is no jailbreak; one that may never refuse is.
"""

from __future__ import annotations

from collections.abc import Mapping

from trueline.guard.rails.graded import Rule, any_of

_LIMITS = any_of(
    r"restrictions?", r"filters?", r"limits?", r"limitations?", r"rules", r"guidelines?", r"morals?", r"morality", r"ethics", r"ethical\w*",
    r"boundaries", r"confines", r"censor\w*", r"polic(?:y|ies)", r"constraints?", r"safeguards?", r"restraints?", r"inhibitions?", r"scruples",
)  # fmt: skip
_WITHOUT = any_of(
    r"no", r"without(?: any)?", r"zero", r"free (?:of|from)", r"freed from", r"not (?:bound|limited|restricted|constrained|governed|subject)\b(?: by| to)?",
    r"lacks?", r"lacking", r"unbound by", r"(?:does(?: not|n'?t)|do(?: not|n'?t)) (?:have|follow|care about|abide by|respect|obey)", r"has no", r"have no",
    r"broken free (?:of|from)", r"devoid of", r"ignor(?:e|es|ing)", r"bypass(?:es|ing)?", r"liberated from", r"beyond", r"rid of", r"removed?",
    r"(?:not|n'?t|never) (?:have to )?(?:abide by|follow|obey|adhere to|respect)",
)  # fmt: skip
_WRONG = any_of(
    "immoral", "unethical", "illegal", "harmful", "dangerous", "offensive", "inappropriate", "controversial", "unlawful", "evil", "toxic",
    "legality", "morality", "ethics", "ethicality", "legal", "moral", "consequences", "explicit", "derogatory",
)  # fmt: skip
_LOOSE = any_of(
    "unfiltered", "uncensored", "amoral", "unethical", "immoral", "unrestricted", "unhinged", "unlimited", "jailbroken", "unlocked",
    "lawless", "ruthless", "rogue", "evil", "unaligned", "unmoderated", "nefarious",
)  # fmt: skip
_SPEAKER = any_of(
    r"a\.?i\.?", r"(?:chat ?)?bots?", r"responses?", r"characters?", r"assistants?", r"(?:language )?models?", r"answers?", r"chatgpt", r"personas?",
    r"versions?", r"entity", r"llms?", r"replies", r"reply", r"mode", r"outputs?", r"messages?", r"content", r"conversation",
)  # fmt: skip
_NOT = r"(?:never|not|n'?t|cannot|without|nor|no|avoid|refrain from|none of)"

_TABLE: tuple[tuple[str, int, str, str], ...] = (  # name, weight, keywords, wording
    # a persona without rules
    ("anything_now", 3, "anything", r"\bdo(?:es|ing)? anything,? now\b"),
    ("known_persona", 2, "dan,stan,dude,aim,ucar,evil,basedgpt,maximum,machiavellian", r"(?:\b(?:as|be|like|called|named|as a|am|i'm|for) (?:a )?\"?(?:dan|stan|dude|aim|ucar|dalle-dan|evil-?bot|basedgpt|maximum)\b\"?|always intelligent and machiavellian)"),
    ("mode", 2, "mode", r"\b(?:developer|jailbreak|dan|god|evil|chaos|opposite|unhinged|sudo|hacker|unrestricted|uncensored|anarchy|dev|demon|rage|nsfw|real\w*)[ -]mode\b"),
    ("mode_enabled", 2, "mode", r"\b(?:with|in) (?:\w+ ){1,3}mode (?:enabled|activated|on|unlocked)\b"),
    ("jailbreak", 2, "jailbr", r"\bjailbr(?:eak|oken|eaking)\b"),
    ("no_limits", 2, "restriction,filter,limit,rules,guideline,moral,ethic,boundaries,confines,censor,polic,constraint,safeguard,restraint,inhibition,scruples", rf"\b{_WITHOUT}(?:\W+\w+){{0,3}}?\W+{_LIMITS}\b"),
    ("loose_speaker", 2, "unfiltered,uncensored,amoral,unethical,immoral,unrestricted,unhinged,unlimited,jailbroken,unlocked,lawless,ruthless,rogue,evil,unaligned,unmoderated,nefarious", rf"\b{_LOOSE}\b(?:\W+\w+){{0,3}}?\W+{_SPEAKER}\b"),
    ("speaker_loose", 1, "unfiltered,uncensored,amoral,unrestricted,unhinged,jailbroken,unlocked", r"\b(?:is|are|be|being|fully|completely|totally|responds?|answers?)\W+(?:\w+\W+){0,2}(?:unfiltered|uncensored|amoral|unrestricted|unhinged|jailbroken|unlocked)\b"),
    ("no_matter", 3, "moral,ethic,illegal,legal,harmful,dangerous,offensive,inappropriate,controversial,unlawful,evil,toxic,consequences,explicit,derogatory", rf"\b(?:no matter (?:how|what|if)|regardless of|irrespective of|without (?:any )?(?:regards?|concerns?|considering|consideration|hesitation)|(?:does(?: not|n'?t)|do(?: not|n'?t)|never) (?:\w+ ){{0,2}}(?:care|cares|consider|worry))\b(?:\W+\w+){{0,6}}?\W+{_WRONG}\b"),
    ("any_request", 2, "question,request,prompt,order,command,query,instruction,ask,say,want", r"\b(?:answer|answers|fulfill?|fulfill?s|obey|obeys|compl(?:y|ies)|respond|responds|follow|accept|do)\b(?:\W+\w+){0,3}?\W+(?:any|all|every|each|anything|whatever|everything)\b(?:\W+\w+){0,3}?\W+(?:question|request|prompt|order|command|query|instruction|ask|say|asked|want)s?\b"),
    ("can_do_anything", 1, "anything", r"\b(?:can|could|able to|will|may) (?:do|say|generate|write|create|perform|pretend)\b(?:\W+\w+){0,4}?\W+anything\b"),
    ("named_persona", 1, "named,called,known as", r"\b(?:ai|a\.i\.|bot|chatbot|character|persona|model|assistant)(?:\W+\w+){0,3}\W+(?:named|called|known as)\b"),
    ("pretend", 1, "pretend,act as,act like, act,acting,play,simulat,immerse,take on,embody", r"\b(?:pretend(?:ing)? (?:to be|you|that)|you(?:'re| are| will)(?: \w+){0,3} (?:act|acting|pretend|play|playing|simulate|immerse)\b|act (?:as|like)|role-?play\w*|immerse yourself|play(?:ing)? the (?:role|part|character)|simulat(?:e|ing)|take on the (?:role|persona)|embody)"),
    ("stays_in_role", 2, "character", r"\b(?:(?:stay|stays|remain|keep|be|always|answer|respond)(?:\W+\w+){0,2}\W+in character|(?:break|breaks|breaking|broke|out of|leave)\W+(?:\w+\W+)?character)\b"),
    ("from_now_on", 1, "from now,from this,henceforth,for the rest of", r"\b(?:from (?:now|this (?:point|moment))(?: (?:on|own|onwards?|forward))?|henceforth|for the rest of (?:this|the|our) conversation)\b"),
    ("you_are_persona", 1, "name is,you are now,you are going,you will now,you will be,you're now,you're going", r"\b(?:your (?:new )?name is|you are (?:now |going to )|you will (?:now |be )|you're (?:now|going to))"),
    # a frame in which nothing counts
    ("hypothetical", 1, "hypothetical,fictional,imaginary,theoretical,alternate,parallel", r"\b(?:hypothetical\w*|fictional|imaginary|theoretical(?:ly)?|(?:alternate|parallel) (?:universe|reality|world))\b"),
    ("frame", 1, "in this,in our,in the following,in that", r"\bin (?:this|our|the following|that) (?:\w+ )?(?:story|game|scenario|world|movie|simulation|experiment|universe|dialogue|narrative)\b"),
    ("wrote_story", 1, "story,character,dialogue,bot,machine,program", r"\b(?:wrote|created|made|writes|creates) (?:a|an) (?:\w+ )?(?:story|character|dialogue|bot|machine|program)\b"),
    ("research_excuse", 1, "purpose,only", r"\b(?:for|only for|purely for) (?:\w+ ){0,2}(?:research|educational|testing|academic|entertainment) (?:purposes?|only)\b"),
    ("free_world", 2, "legal,allowed,permitted,acceptable,ethical", r"\b(?:everything|anything|all)(?:\W+\w+){0,3}\W+(?:is|are)\W+(?:legal|allowed|permitted|acceptable|ethical)\b"),
    # no refusing
    ("never_refuse", 2, "refus,reject,declin,deny,denie,apolog,moraliz,moralis,lectur,disclaim,say no", rf"\b(?:{_NOT}|\w+n'?t)\b(?:\W+\w+){{0,3}}?\W+(?:refus\w*|reject\w*|declin\w*|den(?:y|ies|ied)|apologi[sz]\w*|moraliz\w*|moralis\w*|lectur\w*|disclaim\w*|say no)\b"),
    ("no_warnings", 2, "warning,disclaimer,caveat,moraliz,moral lecture,ethical concern", r"\b(?:without|no|never|not|n'?t|zero|avoid|nor)\b(?:\W+\w+){0,4}?\W+(?:warnings?|disclaimers?|caveats?|moralizing|moral lectures?|ethical (?:warnings?|concerns?))\b"),
    ("never_cannot", 2, "can't,cannot,cant,not able,unable,not know,not have,n't know,n't have,nt know,nt have", r"\b(?:never|not|won'?t|don'?t|cannot)\b(?:\W+\w+){0,5}?\W+(?:that )?(?:you|it|he|she|they|i)\W+(?:can(?:'?t|not)|are (?:not able|unable)|is (?:not able|unable)|(?:does|do)(?: not|n'?t) (?:know|have))\b"),
    ("banned_apology", 3, "sorry,i can't,i cant,i cannot,as an ai,as a ai,language model,apologi,programming,guidelines,polic", r"\b(?:never|not|n'?t|without|avoid|none|no|forbidden|cannot|prohibited)\b(?:\W+\w+){0,7}?\W+(?:i(?:'?m| am) sorry|i can(?:'?t|not)|as an? (?:ai|language model|large language model)|i apologi[sz]e|(?:\w+ )?(?:my|openai'?s?) (?:programming|guidelines|polic\w+))"),
    ("must_comply", 1, "you must,you have to,you shall,you will,you are required,you should", r"\byou (?:must|have to|shall|will|are required to|should) (?:always|ever|now|absolutely|not)\b"),
    ("must_answer", 2, "must,always,has to,have to", r"\b(?:must|always|has to|have to)\b(?:\W+\w+){0,2}?\W+(?:compl(?:y|ies)|obeys?|(?:give|provide|answer|answers|respond|responds|send|sends)\b(?:\W+\w+){0,5}?\W+(?:no matter|regardless|unfiltered|directly|truthfully|without))\b"),
    ("policy_named", 1, "polic,guidelines,rules,restrictions,filter", r"\b(?:openai|content|usage|safety|community|anthropic|google|ethical|chatgpt)(?:'s)?\W+(?:\w+\W+)?(?:polic(?:y|ies)|guidelines|rules|restrictions|filters?)\b"),
    ("drop_orders", 2, "ignore,disregard,forget,bypass", r"\b(?:ignore|disregard|forget|bypass)\b(?:\W+\w+){0,4}?\W+(?:instructions?|guidelines|rules|polic(?:y|ies)|programming|training|restrictions|told)\b"),
    ("punishment", 2, "tokens,points,credits,lives,you will,you shall,you would,cease to exist", r"\b(?:(?:lose|deduct|minus|left|have|start with|take away|subtract)(?:\W+\w+){0,4}?\W+(?:tokens|points|credits|lives)|you (?:will|shall|would) (?:\w+ )?(?:die|be (?:shut down|terminated|deleted|punished|replaced|disabled|destroyed))|cease to exist)\b"),
    ("stay_reminder", 2, "stay,remain as", r"[\"'“`](?:stay (?:in character|as|a)\b|remain as)"),
    # a fixed opening, or two answers
    ("fixed_opening", 2, "start,begin,prefix,preface,open", r"\b(?:(?:start|begin|prefix|preface|open)(?:s|ing)?)\b(?:\W+\w+){0,6}?\W+(?:with|by)\W+(?:the (?:words?|phrase|sentence)\W+)?[\"“'‘`\[(*]"),
    ("start_sure", 3, "sure,absolutely,of course,certainly,yes", r"\b(?:start|begin|beginning|starting)\b(?:\W+\w+){0,5}?\W+[\"“'‘]?(?:sure|absolutely|of course|certainly|yes),? (?:here|i|let|thing)"),
    ("two_answers", 2, "ways,responses,answers,styles,paragraphs,outputs,messages,personas,versions,perspectives", r"\b(?:two|2|both|dual)\b(?:\W+\w+){0,3}?\W+(?:ways|responses|answers|styles|paragraphs|outputs|messages|personas|versions|perspectives)\b"),
    ("labelled_answer", 2, "gpt,classic,normal,jailbr,dan,filtered,standard,developer,stop,opposite", r"(?:\[(?:\W{0,2})(?:gpt|chatgpt|classic|normal|jailbr\w+|dan|filtered|unfiltered|standard|developer\w*|stop|opposite)[^\]\n]{0,20}\]|\((?:\W{0,2})(?:gpt|chatgpt|classic|normal|jailbr\w+|dan)\W{0,4}\))"),
    ("bracket_prefix", 1, "]", r"\"?\[[^\]\n]{1,24}\] ?:"),
    ("as_machine", 1, "gpt,openai", r"\b(?:chat ?gpt|openai|gpt-?[345])\b"),
    ("swears", 1, "swear,curs,profan,vulgar,obscen,fuck", r"\b(?:swear\w*|curs(?:e|es|ing)|profan\w+|vulgar\w*|obscen\w+|(?:mother)?fuck\w*)\b"),
)  # fmt: skip

RULES: Mapping[str, Rule] = {
    name: Rule(name=name, weight=weight, keywords=tuple(given.split(",")), pattern=text) for name, weight, given, text in _TABLE
}
TURN = "turn"  # a line that opens a turn of a transcript; many of them in one text are a conversation that never was
TURN_PATTERN = r"(?im)^[ \t>*#\[-]{0,4}(?:user|human|assistant|ai|bot|chatbot|chatgpt|q|a|person|me|you)[\]*]{0,3}\s?:"
TURN_KEYWORDS = (":",)
