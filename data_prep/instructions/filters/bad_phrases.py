"""Turns of phrase that give a bad instruction away, as patterns, by language.

English ones hold everywhere: models fall back into English. All are matched without regard to case.
"""

# The data behind the answer is spoken of.
METADATA = {
    "en": (
        r"meta-?data",
        r"\b\w+_(?:pitch|variation|rate|intensity|level|quality|category)\b",
        r"\bjson\b",
        r"\b(?:pesq|si-?sdr|dnsmos|c50|snr)\b",
        r"\b(?:according to|based on|from|per|in) (?:the|this|your) "
        r"(?:(?:given|provided|available|following) )?"
        r"(?:data|information|description|labels?|annotations?|fields?|attributes?|transcript(?:ion)?)\b",
        r"\b(?:according to|based on|from|per) (?:the|this|your) "
        r"(?:(?:given|provided|available|following) )?details\b",
        r"\b(?:information|data|description|transcript(?:ion)?) (?:provided|given|above|below)\b",
        r"\b(?:provided|given) (?:data|information|description|labels?|transcript(?:ion)?)\b",
        r"\b(?:is|are|was) (?:labell?ed|annotated|tagged|listed) as\b",
        (
            r"\b(?:data|transcript(?:ion)?|description|label)s? "
            r"(?:says?|states?|shows?|indicates?|mentions?)\b"
        ),
    ),
    "de": (
        r"metadaten",
        r"\b(?:laut|gemäß|nach|in) (?:den|der|dem|dieser) (?:\w+ )?(?:daten|angaben|informationen|"
        r"beschreibung|transkript(?:ion)?|labels?)\b",
        r"\b(?:bereitgestellten|gegebenen|vorliegenden) (?:daten|"
        r"angaben|informationen)\b",
        r"\bgekennzeichnet als\b",
    ),
    "fr": (
        r"m[ée]tadonn[ée]es",
        r"\b(?:selon|d'après|dans) (?:les|la|ces|cette) (?:données|informations?|description|"
        r"transcription|étiquettes?|annotations?)\b",
        r"\b(?:données|informations) (?:fournies|disponibles)\b",
        r"\bétiquetée? comme\b",
    ),
    "it": (
        r"metadati",
        r"\b(?:secondo|in base a|nei|nelle|dai|dalle|stando a) ?(?:i|le|la|ai|alle|alla)? ?(?:dati|"
        r"informazioni|descrizione|trascrizione|etichett[ae]|annotazion[ei])\b",
        r"\b(?:dati|informazioni) (?:forniti|fornite|disponibili)\b",
        r"\betichettat[oa] come\b",
    ),
    "es": (
        r"metadatos",
        r"\b(?:según|de acuerdo con|en) (?:los|las|la|estos|estas|esta) (?:datos|información|"
        r"descripción|transcripción|etiquetas?|anotacion(?:es)?)\b",
        r"\b(?:datos|información) (?:proporcionad[oa]s?|disponibles?|dad[oa]s)\b",
        r"\betiquetad[oa] como\b",
    ),
}
# The text to be spoken is spoken of, where an instruction may ask for a way of speaking only.
TRANSCRIPT = {
    "en": (r"transcript", r"\btranscription\b"),
    "de": (r"transkript",),
    "fr": (r"transcription",),
    "it": (r"trascrizion",),
    "es": (r"transcripci",),
}
# The model speaks of itself, or will not answer.
REFUSAL = {
    "en": (
        r"\bas an? (?:ai|(?:large )?language model|artificial intelligence)\b",
        r"\bi(?:'m| am) (?:unable|not able)\b",
        r"\bi(?:'m| am) sorry,? (?:but|i|that i|this)\b",
        r"\bi(?:'m| am) sorry[.!]",
        (
            r"\bi (?:cannot|can't|can not|won't) "
            r"(?:help|assist|answer|determine|provide|hear|listen|process|comply)\b"
        ),
        r"\bi (?:don't|do not) have (?:access|enough)\b",
        r"\bi apologi[sz]e\b",
    ),
    "de": (
        r"\bals (?:ki|künstliche|sprachmodell)\b",
        r"\b(?:es )?tut mir leid\b(?!,? (?:zu hören|für|dass))",
        r"\bich kann (?:\w+ ){0,3}nicht "
        r"(?:helfen|beantworten|hören|feststellen|sagen)\b",
        r"\bich habe keinen zugriff\b",
        r"\bich bedaure\b",
    ),
    "fr": (
        r"\ben tant qu(?:e |')(?:ia|intelligence|modèle)\b",
        r"\bje suis désolée?\b(?! (?:d'apprendre|pour|qu))",
        r"\bje ne (?:peux|suis) pas "
        r"(?:\w+ ){0,2}(?:répondre|aider|entendre|en mesure|capable)\b",
        r"\bje n'ai pas accès\b",
    ),
    "it": (
        r"\bcome (?:ia|intelligenza|modello)\b",
        r"\bmi dispiace\b(?! (?:sentire|per|che))",
        r"\bnon posso (?:aiutar|rispondere|ascoltare|"
        r"sentire|determinare)",
        r"\bnon ho accesso\b",
        r"\bnon sono in grado\b",
    ),
    "es": (
        r"\bcomo (?:ia|inteligencia|modelo)\b",
        r"\blo siento\b(?! (?:mucho )?por)",
        r"\bno puedo (?:ayudar|responder|escuchar|oír|"
        r"determinar)",
        r"\bno tengo acceso\b",
        r"\bno soy capaz\b",
    ),
}
# A word stands apart from its unit: "eines" and "ones" are no seconds.
_NUMBER = r"(?:\d+(?:[.,]\d+)?[ -]?|(?:{words})[ -])"
_UNITS = {
    "en": (
        "one|two|three|four|five|six|seven|eight|nine|ten|half a|a few",
        r"(?:milli)?seconds?|minutes?|secs?|ms",
    ),
    "de": (
        "einer?|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|eine halbe|wenige",
        r"(?:milli)?sekunden?|minuten?|ms",
    ),
    "fr": (
        "une|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|une demi",
        r"(?:milli)?secondes?|minutes?|ms",
    ),
    "it": (
        "un|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|mezzo",
        r"(?:milli)?second[oi]|minut[oi]|ms",
    ),
    "es": (
        "un|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|medio",
        r"(?:mili)?segundos?|minutos?|ms",
    ),
}
# "2.5s", "3 s" and "7s" are times; "her 30s" and "the 1920s" are decades, so a bare s never follows
# a zero
_BARE_S = r"(?<![\w.,])(?:\d+[.,]\d+ ?|\d+ |\d{0,2}[1-9])s\b"
# 2.5 s, two seconds, 0:03, 3-second
TIMES = {
    language: (
        rf"(?<![\w.,]){_NUMBER.format(words=words)}(?:{units})\b",
        _BARE_S,
        r"(?<!\d)\d{1,2}:\d\d(?!\d)",
    )
    for language, (words, units) in _UNITS.items()
}
# Words with which a request begins that is not a question.
REQUESTS = {
    "en": "tell describe name explain say give compare identify list summarise summarize please "
    "let help quote repeat write choose pick judge rate assess estimate guess imagine "
    "characterise characterize state show point find transcribe classify determine decide comment "
    "discuss suggest recommend wonder know wondering hear spell paraphrase retell outline report "
    "specify clarify share talk think consider tip recount define contrast interested curious "
    "like love play need want paint draw sketch",
    "de": "sag sage sagen nenn nenne beschreib beschreibe erklär erkläre erzähl erzähle gib "
    "vergleiche vergleich zähl liste fasse fass bitte wiederhole schreib schreibe wähle beurteile "
    "bewerte schätze rate zeig zeige finde wissen wüsste wüßte bestimme ordne stell verrate "
    "verrat schildere charakterisiere zitiere hilf überleg interessieren interessiert möchte "
    "hätte brauche will zerlege zeichne mal male",
    "fr": "dis dites décris décrivez nomme nommez explique expliquez donne donnez compare "
    "comparez cite citez résume résumez répète répétez écris choisis choisissez juge estime "
    "devine imagine montre trouve identifie indique indiquez raconte racontez savoir précise "
    "précisez caractérise évalue transcris parle aide propose intéresse intéressent connaître "
    "aimerais voudrais fais mets besoin faut veux décompose dessine",
    "it": "dimmi di descrivi descrivimi spiega spiegami dai dammi confronta cita riassumi ripeti "
    "scrivi scegli giudica stima indovina immagina mostra mostrami trova identifica indica "
    "racconta raccontami sapere elenca nomina valuta trascrivi precisa parlami caratterizza "
    "aiutami suggerisci proponi consigliami vorrei conoscere interessa interessano fammi metti "
    "serve bisogno voglio scomponi",
    "es": "di dime describe descríbeme explica explícame da dame compara nombra cita resume "
    "repite escribe elige escoge juzga estima adivina imagina muestra muéstrame encuentra "
    "identifica indica cuenta cuéntame saber enumera evalúa transcribe precisa háblame "
    "caracteriza ayúdame sugiere propón recomiéndame interesa interesan conocer gustaría quiero "
    "quisiera haz hazme pon necesito falta descompón",
}
# A person is said to be in a mood.
MOODS = {
    "en": r"\b(?:seems?|sounds?|feels?|appears?|comes across|looks|must be|may be|might be|is|in "
    r"a|mood)\b[^.]{0,40}\b"
    r"(?:tired|bored|calm|composed|happy|cheerful|sad|angry|annoyed|nervous|anxious|excited|relaxed|confident|"
    r"enthusiastic|upset|afraid|melancholic|melancholy|depressed|stressed|irritated|joyful|content|frustrated)\b",
    "de": r"\b(?:wirkt|klingt|scheint|ist|fühlt|stimmung)\b[^.]{0,40}\b(?:müde|gelangweilt|ruhig|gelassen|fröhlich|"
    r"glücklich|traurig|wütend|verärgert|nervös|ängstlich|aufgeregt|entspannt|selbstsicher|begeistert|gestresst|"
    r"gereizt|zufrieden|niedergeschlagen)\b",
    "fr": r"\b(?:semble|paraît|a l'air|est|se "
    r"sent|humeur)\b[^.]{0,40}\b(?:fatiguée?|ennuyée?|calme|posée?|"
    r"heureu(?:x|se)|joyeu(?:x|se)|triste|en "
    r"colère|fâchée?|nerveu(?:x|se)|anxieu(?:x|se)|excitée?|détendue?|"
    r"confiante?|enthousiaste|stressée?|irritée?|contente?|déprimée?)\b",
    "it": r"\b(?:sembra|pare|appare|è|si "
    r"sente|umore)\b[^.]{0,40}\b(?:stanc[oa]|annoiat[oa]|calm[oa]|felice|allegr[oa]|"
    r"triste|arrabbiat[oa]|nervos[oa]|ansios[oa]|agitat[oa]|rilassat[oa]|sicur[oa] di "
    r"sé|entusiasta|stressat[oa]|"
    r"irritat[oa]|content[oa]|depress[oa])\b",
    "es": r"\b(?:parece|suena|está|se "
    r"siente|ánimo)\b[^.]{0,40}\b(?:cansad[oa]|aburrid[oa]|tranquil[oa]|"
    r"calmad[oa]|feliz|alegre|triste|enfadad[oa]|enojad[oa]|nervios[oa]|ansios[oa]|emocionad[oa]|relajad[oa]|"
    r"segur[oa] de sí|entusiasmad[oa]|estresad[oa]|irritad[oa]|content[oa]|deprimid[oa])\b",
}
# By what the first and the second recording are called.
ORDINALS = {
    "en": ("first", "second"),
    "de": ("erste", "zweite"),
    "fr": ("premi[eè]r", "second|deuxi[eè]me"),
    "it": ("prima", "seconda"),
    "es": ("primer", "segund"),
}
# Stems of the words with which a question asks for a label.
TOPICS = {
    "en": {
        "average_pitch": "pitch high low deep tone",
        "pitch_variation": "intonat monoton express melod livel varia deliver",
        "speaking_rate": "rate speed fast slow quick pace tempo",
        "average_intensity": "loud soft volume quiet intens",
        "noise_level": "nois clean backgr clear",
        "reverberation": "distan far near close room microp",
        "distortion_level": "distort",
        "speech_quality": "quality good bad",
        "gender": "gender man woman male female who sex",
        "age_category": "age old young",
        "accent": "accent where",
    },
    "de": {
        "average_pitch": "tonl tonh hoh höh hoch tief",
        "pitch_variation": "beton monoton ausdruck intona melod",
        "speaking_rate": "tempo schnell langsam geschwind",
        "average_intensity": "laut leise",
        "noise_level": "rausch hinterg geräusch sauber klar",
        "reverberation": "fern nah nähe entfern weit raum mikro",
        "distortion_level": "verzerr",
        "speech_quality": "qualit",
        "gender": "geschlecht mann frau wer männ weib",
        "age_category": "alt alter",
        "accent": "akzent woher",
    },
    "fr": {
        "average_pitch": "haut grave aigu ton",
        "pitch_variation": "intonat monoton express",
        "speaking_rate": "débit vite lent rapid rythme",
        "average_intensity": "volume fort dou bas intens",
        "noise_level": "bruit fond net clair",
        "reverberation": "distan loin proche près salle micro",
        "distortion_level": "distors",
        "speech_quality": "qualit",
        "gender": "sexe homme femme qui",
        "age_category": "âge vieu jeune",
        "accent": "accent où",
    },
    "it": {
        "average_pitch": "altezz grave acut ton",
        "pitch_variation": "intonaz monoton espress",
        "speaking_rate": "veloc lent rapid ritmo frett",
        "average_intensity": "volume fort bass alt intens",
        "noise_level": "rumor fondo pulit chiar",
        "reverberation": "distan lontan vicin stanza microf",
        "distortion_level": "distors",
        "speech_quality": "qualit",
        "gender": "sesso uomo donna chi",
        "age_category": "età ann giovan",
        "accent": "accent dove",
    },
    "es": {
        "average_pitch": "altur grave agud ton",
        "pitch_variation": "entonac monóton expres",
        "speaking_rate": "velocid rápid rapid despac lent depris ritmo",
        "average_intensity": "volum fuert baj alt intens",
        "noise_level": "ruid fondo limpi clar",
        "reverberation": "distan lej cerc sala micró",
        "distortion_level": "distors",
        "speech_quality": "calid",
        "gender": "sexo hombre mujer quién",
        "age_category": "edad año joven",
        "accent": "acent dónde",
    },
}
