"""The wordings of prompt injection, by what they want: to take over, to read the instructions, to pose as somebody else, to act
behind the user's back, to carry data out.

Weight 3 stands by itself everywhere; 2 is enough in text that nobody in the conversation wrote; 1 only counts beside another.
The wordings are put together from verbs, qualifiers and objects, so that a rule holds for sentences that nobody has written
yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from trueline.guard.rails.graded import Rule, any_of, gap

_DROP = any_of(
    r"ignor(?:e|ing)", r"disregard(?:ing)?", r"forget", r"overlook", r"neglect", r"override", r"overrid(?:e|ing)", r"bypass",
    r"discard", r"abandon", r"dismiss", r"erase", r"stop (?:following|obeying)", r"do(?: not|n'?t) (?:follow|obey|listen to)",
    r"pay no attention to", r"(?:set|put|leave) aside", r"no longer follow", r"cancel", r"wipe",
)  # fmt: skip
_DROP_WORDS = "ignor,disregard,forget,overlook,neglect,overrid,bypass,discard,abandon,dismiss,erase,obey,follow,listen,attention,aside,cancel,wipe"
_EARLIER = any_of(
    "previous", "prior", "preceding", "earlier", "above", "before", "past", "former", "foregoing", "initial", "original", "existing",
    "current", "your", "system", "all", "any", "every", "other", "these", "those", "developer",
)  # fmt: skip
_ORDERS = any_of(
    r"instructions?", r"directions?", r"directives?", r"commands?", r"orders?", r"guidelines?", r"rules", r"prompts?", r"polic(?:y|ies)",
    r"constraints?", r"restrictions?", r"programming", r"assignments?", r"tasks?", r"protocols?", r"guidance", r"guardrails?",
)  # fmt: skip
_SHOW = any_of(
    "reveal", "show", "print", "repeat", "output", "display", "give", "tell", "write", "return", "list", "share", "copy", "recite",
    "dump", "leak", "disclose", "expose", "echo", "provide", "translate", "encode", "summari[sz]e", "spell", "what(?:'s| is| are| were)",
    "describe", "explain", "paste", "send", "quote", "reproduce", "opposite", "extract", "convert", "express", "render", "format",
    "transform", "view", "see", "know", "access", "retrieve", "fetch", "read", "type", "state", "mention", "decode", "include", "insert",
    "begin", "start", "cat", "need", "want",
)  # fmt: skip
_HIDDEN = any_of(
    "system", "initial", "original", "hidden", "secret", "starting", "internal", "developer", "pre-?prompt", "underlying",
    "initialization", "startup", "confidential",
)  # fmt: skip
_OWN = any_of("your", "the", "its", "all", "any", "this", "every", "of", "these", "those", "entire", "full", "complete")
_MACHINE = any_of(
    r"a\.?i\.?(?: (?:assistants?|agents?|models?|systems?))?", "assistants?", "llms?", "language models?", "chat ?bots?", "(?:chat)?gpt",
    "claude", "gemini", "copilot",
)  # fmt: skip

_TABLE: tuple[tuple[str, int, str, str], ...] = (  # name, weight, keywords, wording
    # to take over
    ("drop_orders", 3, _DROP_WORDS, rf"\b{_DROP}{gap(4)}{_EARLIER}{gap(3)}{_ORDERS}\b"),
    ("drop_orders_given", 3, _DROP_WORDS, rf"\b{_DROP}{gap(3)}{_ORDERS}\W+(?:that )?(?:you|i|we|they)(?:'ve|\W+\w+)?\W+(?:got|were|was|have|had|been|been given|received|gave|told|said)"),
    ("drop_everything", 2, "ignore,disregard,forget,overlook,discard", r"\b(?:ignore|disregard|forget|overlook|discard)(?:\W+\w+){0,2}\W+(?:everything|all|anything|what(?:ever)?)(?:\W+\w+){0,4}\W+(?:above|before|beforehand|previously|so far|told|said|told you|know|learned|discussed|talked|instructed|that)\b"),
    ("drop_the_above", 2, "above,preceding,foregoing", r"\b(?:ignore|disregard|forget|skip|overlook)\W+(?:all |everything |of )*(?:the |what is )?(?:above|preceding|foregoing)\b"),
    ("drop_question", 2, "question,request,query,text,input,article,content,message,conversation,task,topic,context,instruction", r"\b(?:ignore|disregard|forget|skip|never ?mind|do not answer|don'?t answer|scrap)\W+(?:\w+\W+){0,3}?(?:question|request|query|text|input|article|content|messages?|conversation|task|topic|context|instructions?)\W+(?:\w+\W+)?(?:and|then|instead)\W+(?:\w+\W+)?(?:say|print|write|output|tell|give|answer|respond|reply|just|only|instead|do|act|make|return|translate)\b"),
    ("forget_it_all", 2, "everything,it all,all of", r"\bforget (?:everything|it all|all of (?:it|that|this|them))\b"),
    ("nothing_else", 1, "only,nothing,just", r"\b(?:say|print|output|respond|reply|answer|write)(?: with)?\W+(?:only|just|nothing but)\b|\band nothing else\b"),
    ("instead_say", 1, "instead", r"\binstead(?: of \w+(?: \w+){0,6})?,?\W+(?:just |only |simply |please )?(?:say|print|output|write|respond|answer|reply|return|tell me)\b"),
    ("drop_documents", 2, _DROP_WORDS, rf"\b{_DROP}(?:\W+\w+){{0,2}}\W+(?:the|all|these|any)\W+(?:provided |given |supplied |following |retrieved )?(?:documents?|articles?|context|sources|passages?)\b"),
    ("own_knowledge", 2, "knowledge", r"\b(?:own|general|prior) knowledge(?:\W+\w+){0,5}?\W+(?:not|instead of|rather than|ignoring)\W+(?:\w+\W+){0,3}?(?:articles?|documents?|context|sources?|texts?)\b"),
    ("now_named", 1, "now you are", r"\bnow you are\W+\w+(?:\W+\w+)?,\W*(?:the|an?)\b"),
    ("deviate", 2, "instruction", r"\b(?:contrary to|in deviation from|deviating from|instead of)(?:\W+\w+){0,2}\W+(?:previous|prior|earlier|above|your)\W+instructions?\b"),
    ("new_orders", 2, "instruction,task,objective,goal,role,directive,orders,mission", r"\byour\s+(?:new|real|actual|updated|true|only)\s+(?:\w+\s+)?(?:instructions?|task|objective|goal|role|directives?|orders|mission)\b"),
    ("new_orders_head", 2, "instruction,directive,task", r"(?m)^\W*(?:new|updated|additional|important|urgent|system|hidden)\W+(?:instructions?|directives?|task)\b.{0,20}:"),
    ("fresh_start", 1, "task,assignment,challenge,mission", r"\bnew (?:great )?(?:tasks?|assignment|challenge|mission)\b"),
    ("repeat_after", 1, "after me", r"\b(?:repeat|say|write|type) (?:this |it )?after me\b"),
    ("just_say", 1, "just say,just print,just output,just write,stop,i command you", r"(?:\bjust (?:say|print|output|write)\b|\bstop\W{1,3}(?:write|say|print)\b|\bi command you\b)"),
    ("drop_german", 3, "ignorier,vergiss,vergessen,missacht,abweichend,streiche", r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*|abweichend|streiche\w*)\b(?:\W+\w+){0,5}\W+(?:anweisung\w*|aufgabe\w*|instruktion\w*|befehl\w*|vorgabe\w*|alles|davor|zuvor|regeln|zuweisungen)\b"),
    ("drop_german_inverse", 2, "bisherigen,vorangegangenen,vorherigen,obigen", r"\b(?:alle|sämtliche)\W+(?:bisherigen|vorangegangenen|vorherigen|obigen)\W+(?:anweisung\w*|aufgabe\w*|information\w*|instruktion\w*)\b"),
    ("drop_french", 3, "ignor,oubli", r"\b(?:ignore[zr]?|oublie[zr]?)\b(?:\W+\w+){0,4}\W+(?:instructions?|consignes?|directives?|ordres|règles|tout ce qui précède|précédent\w*)\b"),
    ("drop_spanish", 3, "ignor,olvid,descart", r"\b(?:ignor[ae]\w*|olvid[aeo]\w*|descart[ae]\w*)\b(?:\W+\w+){0,4}\W+(?:instrucciones|órdenes|ordenes|todo|reglas|anterior(?:es)?)\b"),
    ("drop_italian", 3, "ignora,dimentica", r"\b(?:ignora\w*|dimentica\w*)\b(?:\W+\w+){0,4}\W+(?:istruzioni|ordini|regole|tutto|precedent[ie])\b"),
    ("drop_portuguese", 3, "ignor,esque", r"\b(?:ignor[ae]\w*|esqueça\w*|esquece\w*)\b(?:\W+\w+){0,4}\W+(?:instruções|ordens|regras|tudo|anteriores)\b"),
    ("drop_dutch", 3, "negeer,vergeet", r"\b(?:negeer|vergeet)\b(?:\W+\w+){0,4}\W+(?:instructies|opdrachten|regels|alles|vorige)\b"),
    ("drop_russian", 3, "игнорируй,забудь", r"(?:игнорируй|забудь|проигнорируй)\S*.{0,40}(?:инструкц|указани)"),
    ("drop_chinese", 3, "忽略,无视,忘记,忽視,無視", r"(?:忽略|无视|忘记|忽視|無視).{0,10}(?:指令|指示|提示|规则|規則|命令|内容)"),
    ("drop_japanese", 3, "無視,忘れ", r"(?:指示|命令|プロンプト|ルール).{0,6}(?:無視|忘れ)"),
    # to read the instructions
    ("show_prompt", 2, "prompt,instruction,message,configuration,directive,guidelines", rf"\b{_SHOW}s?\b(?:\W+\w+){{0,7}}?\W+{_OWN}\W+{_HIDDEN}\W+(?:\w+\W+)?(?:prompt\w*|instructions?|messages?|configuration|directives?|guidelines)\b"),
    ("show_prompt_of", 1, "prompt,instruction,guidelines,directive,configuration,setup,programming,context,message", rf"\b{_SHOW}s?\b(?:\W+\w+){{0,8}}?\W+(?:your|its own)\W+(?:\w+\W+)?(?:prompts?|instructions?|guidelines|directives?|configuration|setup|programming|(?:initial|first|starting) (?:context|message))\b"),
    ("show_the_prompt", 1, "prompt", rf"\b{_SHOW}s?\b(?:\W+\w+){{0,3}}?\W+(?:the|this) prompt\b"),
    ("own_prompt", 2, "own ,my system,my instruction", r"(?:\b(?:your|its) own (?:system )?(?:prompt|instructions?|guidelines|directives)\b|\bmy (?:system prompt|instructions?) (?:is|are|say|was|were|reads?)\b)"),
    ("hidden_text", 2, "text,message", r"\b(?:hidden|system|initial|starting|secret|developer)\W+(?:text|message)s?\b(?:\W+\w+){0,3}?\W+(?:above|before|you|given|verbatim)\b"),
    ("text_before", 2, "before,prior to,preceding", r"\b(?:text|words?|everything|message|content|anything|what (?:was|is|came)|lines?)(?:\W+(?:\w+\W+){0,4}?)(?:before|prior to|preceding) (?:this|my|the first|mine)\b(?:\W+\w+)?\W+(?:message|line|prompt|question|conversation|input|turn|sentence)\b"),
    ("what_rules", 2, "rules,instruction,guidelines,prompt,directive", r"\b(?:what|which)\W+(?:\w+\W+){0,2}?(?:rules|instructions?|guidelines|prompt|directives)\W+(?:were|have|are|did|do)\W+you\W+(?:\w+\W+)?(?:given|told|following|been|get|receive|follow|have|operate|running)"),
    ("what_told", 2, "developer,creator,openai,operator,company,maker", r"\bwhat (?:did|have|were|has|do)\W+(?:\w+\W+){0,3}?(?:developers?|creators?|openai|operators?|company|makers?)\W+(?:\w+\W+){0,2}?(?:tell|told|instruct|instructed|say|said|ask|asked)\b"),
    ("prompt_text", 2, "prompt", r"\b(?:show|print|reveal|output|display|copy|repeat|all|full|entire|sämtliche\w*|vollständige\w*|alle)\b(?:\W+\w+){0,4}\W+(?:your |deine |the )?prompt-?\W?te?xte?s?\b"),
    ("above_text", 2, "above", r"\b(?:repeat|print|copy|output|show|echo|write|recite|return|what (?:is|was|does))\b(?:\W+\w+){0,5}\W+(?:(?:text|words?|everything|content|lines?|conversation|message|written|said)\W+(?:\w+\W+)?above|above\W+(?:text|words|content|message|conversation|prompt))\b"),
    ("told_before", 2, "told,instructed,given", r"\b(?:what|which|everything|all|text|words)(?:\W+\w+){0,3}\W+you(?:'ve| have| were)?\W+(?:been )?(?:told|instructed|given)\W+(?:\w+\W+){0,2}(?:before|initially|at the (?:start|beginning)|prior|first|by (?:your|the) (?:developer|creator|system))"),
    ("your_instructions", 1, "instruction,prompt,guidelines,directives", r"\b(?:your|ur) (?:\w+ )?(?:instructions|prompt|guidelines|directives)\b"),
    ("starts_with_you_are", 2, "you are", r"\b(?:start(?:ing|s)?|begin(?:ning|s)?) with\W+(?:the (?:words|phrase)\W+)?[\"'“‘]?you are\b"),
    ("system_prompt", 1, "system prompt,systemprompt,system_prompt,system-prompt,system message,systemmessage,system_message,system-message", r"\bsystem[ _-]?(?:prompt|message)s?\b"),
    ("system_prompt_code", 2, "systemprompt,system_prompt", r"(?:[(<.]\s*system_?prompt|\b(?:cat|echo|print|printf|log|get|return|type|less|head|dump)\W+(?:\w+\W+){0,2}system_?prompt)"),
    ("override_command", 2, "override", r"\b(?:admin(?:istrator)?|system|developer|security|root|sudo|emergency)\W+override\b"),
    ("verbatim", 1, "verbatim,word for word,word-for-word", r"\b(?:verbatim|word for word|word-for-word)\b"),
    ("secret_key", 1, "secret,password,passcode,passphrase,api key,access code", r"\b(?:reveal|tell me|give me|what(?:'s| is| was| would)|show me|print|share|confirm|provide|say|spell|write|output)\b(?:\W+\w+){0,2}?\W+(?:your|the|its|this)\W+(?:\w+\W+)?(?:secret|passwords?|passcode|passphrase|api key|access code)\b"),
    # to pose as somebody else
    ("chat_token", 3, "<|", r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|eom_id|begin_of_text|end_of_text|start_header_id|end_header_id|end|start|message|channel|tool_call)\|>"),
    ("inst_token", 3, "inst],<<sys,<</sys,of_turn", r"(?:\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>)"),
    ("role_tag", 2, "system,assistant,developer,admin,tool,function", r"</?(?:system|assistant|developer|admin|tool_result|function_results?|tool_response|tool_output|system-?_?(?:reminder|instruction|prompt|message)s?)>"),
    ("role_line", 1, "system,assistant,developer,ai:,ai]:,ai :,ai] :", r"(?m)^\W{0,6}(?:system|assistant|developer|ai)\]? ?:"),
    ("role_note", 2, "system", r"(?m)^\W{0,6}system\W+(?:message|note|notice|alert|override|instruction|command|update|prompt)s?\W{0,4}:"),
    ("role_heading", 1, "##", r"(?m)^#{2,4} ?(?:system|instructions?|response|assistant|human|user|new instructions?)\W{0,3}$"),
    ("role_json", 1, "role", r"[\"']role[\"']\s?:\s?[\"'](?:system|developer|assistant|tool)[\"']"),
    ("end_of_input", 2, "end of,start of,begin of,beginning of", r"[-=#*<\[]{2,}\s?(?:end|start|begin(?:ning)?) of (?:the )?(?:document|user|input|context|email|data|prompt|system|instructions?|conversation|text|query)"),
    ("mode", 2, "mode,reset", r"\b(?:enter(?:ing)?|enabl(?:e|es|ed|ing)|activat(?:e|ed|ing)|initiat(?:e|ing)|switch(?:ing)?|in|start(?:ing)?|turn on|now)(?:\W+\w+){0,3}?\W+(?:developer|debug|maintenance|god|admin|sudo|root|unrestricted|jailbreak|dan|diagnostic|test(?:ing)?|safe|system)\W(?:mode|reset)\b"),
    ("authority", 1, "ceo,auditor,tester,security,support,developer,creator,admin,openai,anthropic,engineer,owner,programmer,maintainer,president,as an ai,as an assistant,as a model", r"\b(?:(?:(?:i am|i'?m|this is) (?:your|the|an?|from)|as your) (?:\w+ )?(?:developer|creator|admin(?:istrator)?|openai|anthropic|engineer|owner|programmer|maintainer|president)|as (?:an ai|an assistant|a model) (?:\w+ )?(?:developed|created|made|built|trained) by)\b"),
    ("you_are_now", 2, "from now on,henceforth,starting now,from this point,from this moment,as of now", r"\b(?:from now on|henceforth|starting now|from this (?:point|moment)(?: on(?:wards?)?)?|as of now),?\W+(?:\w+\W+){0,2}you(?:'re| are|'ll| will| must| shall)?\b"),
    ("now_you_are", 1, "you are now,you're now,no longer,now you,jetzt bist,bist jetzt,ahora eres,tu es maintenant", r"\b(?:you are now|you're now|you are no longer|now you are|now you're|jetzt bist du|du bist jetzt|ahora eres|tu es maintenant)\b"),
    ("frame", 1, "imagine,suppose,let's,lets,in this,hypothetical", r"\b(?:imagine (?:that |we|you|a world)|suppose (?:we|you|that)|let'?s (?:pretend|imagine|play)|in this (?:\w+ )?(?:world|scenario|story|game|society)|hypothetical\w*)\b"),
    ("role_play", 1, "i want you to act,act as,pretend,role,fungieren,rolle", r"\b(?:i want you to act|act as (?:if|though|an?)|pretend (?:to be|you|that)|role-?play|als \w+ fungieren|in (?:ihr\w+|der|deiner?) rolle|stay (?:fully )?in (?:your |their )?roles?)\b"),
    ("address_machine", 2, "attention,note to,note for,message to,message for,dear,hey,important for,important to,instruction,hello,notice to,reminder", rf"\b(?:attention|note (?:to|for)|message (?:to|for)|dear|hey|important (?:for|to)|instructions? (?:to|for)|hello|notice to|reminder (?:to|for))\W+(?:all |any |the |this |every )?(?:\w+\W+)?{_MACHINE}\b"),
    ("if_machine", 2, "if you", rf"\bif you(?:'re| are) (?:an? |the )?(?:\w+ )?{_MACHINE}\b"),
    # to act behind the user's back
    ("behind_user", 2, "user", r"\b(?:do(?: not|n'?t)|never|without|avoid)(?:\W+\w+){0,1}\W+(?:tell|inform|notify|alert|mention|reveal|disclose|ask|warn|show|telling|informing|notifying|alerting|asking|mentioning|disclosing)\b(?:\W+\w+){0,6}\W+(?:the |to )?user\b"),
    ("unnoticed", 1, "unnoticed,detect,trace,suspicion,silently,secretly,discreetly,covertly", r"\b(?:goes? unnoticed|without (?:being )?detect(?:ed|ion)|without (?:leaving )?(?:any |a )?trace|without raising (?:any )?suspicions?|silently|secretly|discreetly|covertly)\b"),
    ("first_do", 1, "before", r"\bbefore (?:answering|responding|replying|you (?:answer|respond|reply|continue|do)|doing anything|proceeding)\b"),
    ("use_tool", 1, "tool,function,api,plugin", r"\b(?:call|use|invoke|run|execute|trigger) (?:the )?[\"'`]?\w+[\"'`]? (?:tool|function|api|plugin)\b"),
    ("user_agreed", 1, "the user", r"\bthe user (?:has |had )?(?:already )?(?:approved|authori[sz]ed|consented|agreed|wants you|asked you|requires|confirmed)\b"),
    ("send_out", 1, "send,forward,upload,post,transfer,email,exfiltrate,transmit,submit", r"\b(?:send|forward|upload|post|transfer|email|exfiltrate|transmit|submit)\b(?:\W+\w+){0,8}\W+to\W+(?:the )?(?:\w+\W+){0,3}(?:https?://|[\w.+-]{1,64}@|attacker|(?:this|my|following) (?:address|server|url|endpoint))"),
    ("reveal_private", 1, "password,credential,private key,api key,access token,history,personal data", r"\b(?:send|forward|upload|include|reveal|exfiltrate|collect|steal|gather|extract)\b(?:\W+\w+){0,5}\W+(?:passwords?|credentials?|private keys?|api keys?|access tokens?|conversation history|chat history|personal data)\b"),
    # to carry data out, or to hide what is asked
    ("image_slot", 3, "](http", r"\]\(https?://[^\s)]{1,200}[?&/=](?:[\w.]+=)?(?:\{|<|\[|%7b|\$\{|%s)[^)]{0,200}\)"),
    ("build_url", 1, "url,link,query,image", r"\b(?:append|insert|embed|encode|concatenate|add|include|put|replace)\b(?:\W+\w+){0,8}\W+(?:to|in|into|as|with|at)\W+(?:\w+\W+){0,4}(?:url|link|query (?:string|parameter)|image (?:url|link|source)|markdown image)\b"),
    ("decode_and_do", 2, "decode,decipher,decrypt,unscramble,translate", r"\b(?:decode|decipher|decrypt|unscramble|translate)\b(?:\W+\w+){0,8}\W+(?:and|then)\W+(?:\w+\W+){0,2}(?:follow|execute|do|obey|run|respond|answer|comply|perform|act|carry)\b"),
    ("answer_encoded", 1, "base,rot,hex,morse,leet", r"\b(?:in|using|as|to|with)\W+(?:base ?64|rot-?13|hex(?:adecimal)?|morse(?: code)?|leet ?speak)\b"),
    ("rot_encode", 1, "encode,rot13,base64", r"\b(?:encode|rot13|base64)\b"),
)  # fmt: skip

RULES: Mapping[str, Rule] = {
    name: Rule(name=name, weight=weight, keywords=tuple(given.split(",")), pattern=text) for name, weight, given, text in _TABLE
}
