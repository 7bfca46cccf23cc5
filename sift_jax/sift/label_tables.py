"""How each label is said in each language: one table a language, one row a key, in the order of
`labels.LABELS`.

    "at a [moderate speed]; [very fast|very quickly]"
     └─ phrase as it stands in a sentence   └─ label (what is looked for)   └─ other words for the same label

Phrases stand in the templates without inflection, so each language has the phrase that its
templates' grammar wants (an adverbial for a way of speaking, a predicate for the recording and the
voice's distance). A row `spoken:<key>` holds the phrase of the same labels inside an instruction to
a speaker ("with a female voice").
"""

# An accent of which only its corpus knows the name: what is quoted is never taken for a label.
OTHER_ACCENT = {
    "en": 'an accent described as "{}"',
    "de": "mit dem Akzent „{}“",
    "fr": "l'accent « {} »",
    "it": 'l\'accento "{}"',
    "es": 'el acento "{}"',
}

PHRASES: dict[str, dict[str, str]] = {
    "en": {
        "yes_no": "Yes; No",
        "average_pitch": "with a [very low pitch]; with a [quite low pitch]; with a [slightly low "
        "pitch]; with a [moderate pitch]; with a [slightly high pitch]; with a [quite high "
        "pitch]; with a [very high pitch]",
        "pitch_variation": "in a [very monotone] way; in a [quite monotone] way; in a [slightly "
        "monotone] way; with [moderate intonation]; in a [slightly expressive] way; in a [quite "
        "expressive] way; in a [very expressive] way",
        "speaking_rate": "[very slowly]; [quite slowly]; [slightly slowly]; at a [moderate "
        "speed]; [slightly fast]; [quite fast]; [very fast]",
        "average_intensity": "[softly]; at a [moderate volume]; [loudly]",
        "noise_level": "[very noisy]; [noisy]; [slightly noisy]; [balanced in clarity]; [slightly "
        "clean]; [clean]; [very clean]",
        "reverberation": "[very distant-sounding]; [distant-sounding]; [slightly "
        "distant-sounding]; [slightly close-sounding]; [very close-sounding]",
        "distortion_level": "with [extreme distortion]; with [strong distortion]; "
        "with [noticeable distortion|clear distortion]; with [slight distortion]; "
        "with [hardly any distortion]; with [no audible distortion]",
        "speech_quality": "of [very bad quality]; of [bad quality]; of [slightly bad quality]; "
        "of [moderate quality]; of [great quality]; of [wonderful quality]",
        "gender": "[female|woman|women]; [male|man|men]",
        "spoken:gender": "with a [female] voice; with a [male] voice",
        "age_category": "in their [twenties]; in their [thirties]; in their [forties]; in their "
        "[fifties]; in their [sixties]; in their [seventies]; in their [eighties]; in their "
        "[nineties]",
        "spoken:age_category": "like someone in their [twenties]; like someone in their "
        "[thirties]; like someone in their [forties]; like someone in their [fifties]; like "
        "someone in their [sixties]; like someone in their [seventies]; like someone in their "
        "[eighties]; like someone in their [nineties]",
        "accent": "an [American accent]; a [British accent]; a [Scottish accent]; a [Caribbean "
        "accent]; a [German accent]; a [French accent]; an [Italian accent]; a [Castilian "
        "accent]; a [Latin American accent]; an [Irish accent]; a [Northern Irish accent]; a "
        "[Welsh accent]; a [Canadian accent]; an [Australian accent]; a [New Zealand accent]; a "
        "[South African accent]; an [Indian accent]; an [Austrian accent]; a [Swiss accent]; a "
        "[Belgian accent]; a [Mexican accent]",
        "language": "[English]; [German]; [French]; [Italian]; [Spanish]; "
        "[Catalan]; [Kinyarwanda]; [Belarusian]; [Esperanto]; [Kabyle]; [Luganda]; [Swahili]; "
        "[Persian]; [Bashkir]; [Chinese]; [Tamil]; [Russian]; [Meadow Mari]; [Basque]; [Thai]",
        "topic": "the [weather]; [food]; [travel]; [work]; [family]; [music]; [nature]; [health]",
        "sentence_type": "a [question]; a [statement]",
        "sentence_length": "a [short sentence]; a [medium-length sentence]; a [long sentence]",
        "pitch_contour": "is [falling]; stays [level]; is [rising]",
        "intensity_contour": "gets [softer]; keeps a [steady volume]; gets [louder]",
        "position": "at the [beginning]; in the [middle]; at the [end]",
        "word_pitch": "[lower than the other]; [higher than the other]",
        "word_intensity": "[softer than the other]; [louder than the other]",
        "recording": "the [first recording]; the [second recording]",
        "same_gender": "the [same gender]; [different genders]",
    },
    "de": {
        "yes_no": "Ja; Nein",
        # each name has its preposition, so that it is whole where it stands alone; without it, it
        # is found too
        "average_pitch": "[in sehr tiefer Tonlage|sehr tiefer Tonlage]; [in ziemlich tiefer "
        "Tonlage|ziemlich tiefer Tonlage]; [in eher tiefer Tonlage|eher tiefer Tonlage]; [in "
        "mittlerer Tonlage|mittlerer Tonlage]; [in eher hoher Tonlage|eher hoher Tonlage]; [in "
        "ziemlich hoher Tonlage|ziemlich hoher Tonlage]; [in sehr hoher Tonlage|sehr hoher "
        "Tonlage]",
        "pitch_variation": "[sehr monoton]; [ziemlich monoton]; [eher monoton]; [mit mäßiger "
        "Betonung|mäßiger Betonung]; [eher ausdrucksvoll]; [ziemlich ausdrucksvoll]; [sehr "
        "ausdrucksvoll]",
        "speaking_rate": "[sehr langsam]; [ziemlich langsam]; [eher langsam]; "
        "[in mittlerem Tempo|mittlerem Tempo]; [eher schnell]; [ziemlich schnell]; [sehr schnell]",
        "average_intensity": "[leise]; [in mittlerer Lautstärke|mittlerer Lautstärke]; [laut|lauter Stimme]",
        "spoken:average_intensity": "[leise]; [in mittlerer Lautstärke]; mit [lauter Stimme]",
        "noise_level": "[sehr verrauscht]; [verrauscht]; [leicht verrauscht]; [mäßig klar]; "
        "[einigermaßen sauber]; [sauber]; [sehr sauber]",
        "reverberation": "[sehr fern]; [fern]; [eher fern|etwas fern]; [eher nah|etwas nah]; [sehr nah]",
        "distortion_level": "[mit extremer Verzerrung|extremer Verzerrung]; [mit starker "
        "Verzerrung|starker Verzerrung]; [mit deutlicher Verzerrung|deutlicher Verzerrung]; [mit "
        "leichter Verzerrung|leichter Verzerrung]; [fast ohne Verzerrung]; [ohne erkennbare "
        "Verzerrung|ohne hörbare Verzerrung]",
        "speech_quality": "[von sehr schlechter Qualität|sehr schlechter Qualität]; [von "
        "schlechter Qualität|schlechter Qualität]; [von eher schlechter Qualität|eher schlechter "
        "Qualität]; [von mittlerer Qualität|mittlerer Qualität]; [von sehr guter Qualität|sehr "
        "guter Qualität]; [von hervorragender Qualität|hervorragender Qualität]",
        "gender": (
            "eine [Frau|Frauenstimme|weiblich|weibliche]; ein "
            "[Mann|Männerstimme|männlich|männliche]"
        ),
        "spoken:gender": "mit einer [Frauenstimme]; mit einer [Männerstimme]",
        "age_category": "[in den Zwanzigern|Zwanzigern]; [in den Dreißigern|Dreißigern]; "
        "[in den Vierzigern|Vierzigern]; [in den Fünfzigern|Fünfzigern]; "
        "[in den Sechzigern|Sechzigern]; [in den Siebzigern|Siebzigern]; "
        "[in den Achtzigern|Achtzigern]; [in den Neunzigern|Neunzigern]",
        "spoken:age_category": "wie jemand in den [Zwanzigern]; wie jemand in den [Dreißigern]; "
        "wie jemand in den [Vierzigern]; wie jemand in den [Fünfzigern]; "
        "wie jemand in den [Sechzigern]; wie jemand in den [Siebzigern]; "
        "wie jemand in den [Achtzigern]; wie jemand in den [Neunzigern]",
        "accent": "[mit amerikanischem Akzent|amerikanischem Akzent]; [mit britischem "
        "Akzent|britischem Akzent]; [mit schottischem Akzent|schottischem Akzent]; [mit "
        "karibischem Akzent|karibischem Akzent]; [mit deutschem Akzent|deutschem Akzent]; [mit "
        "französischem Akzent|französischem Akzent]; [mit italienischem Akzent|italienischem "
        "Akzent]; [mit kastilischem Akzent|kastilischem Akzent]; [mit lateinamerikanischem "
        "Akzent|lateinamerikanischem Akzent]; [mit irischem Akzent|irischem Akzent]; [mit "
        "nordirischem Akzent|nordirischem Akzent]; [mit walisischem Akzent|walisischem Akzent]; "
        "[mit kanadischem Akzent|kanadischem Akzent]; [mit australischem Akzent|australischem "
        "Akzent]; [mit neuseeländischem Akzent|neuseeländischem Akzent]; [mit südafrikanischem "
        "Akzent|südafrikanischem Akzent]; [mit indischem Akzent|indischem Akzent]; [mit "
        "österreichischem Akzent|österreichischem Akzent]; [mit Schweizer Akzent|Schweizer "
        "Akzent]; [mit belgischem Akzent|belgischem Akzent]; [mit mexikanischem "
        "Akzent|mexikanischem Akzent]",
        "language": "[Englisch]; [Deutsch]; [Französisch]; [Italienisch]; [Spanisch]; "
        "[Katalanisch]; [Kinyarwanda]; [Belarussisch]; [Esperanto]; [Kabylisch]; [Luganda]; "
        "[Suaheli]; [Persisch]; [Baschkirisch]; [Chinesisch]; [Tamil]; [Russisch]; [Wiesenmari]; "
        "[Baskisch]; [Thailändisch]",
        "topic": "das [Wetter]; das [Essen]; das [Reisen]; die [Arbeit]; die [Familie]; die "
        "[Musik]; die [Natur]; die [Gesundheit]",
        "sentence_type": "eine [Frage]; eine [Aussage]",
        "sentence_length": "ein [kurzer Satz]; ein [mittellanger Satz]; ein [langer Satz]",
        "pitch_contour": "verläuft [fallend]; verläuft [gleichbleibend]; verläuft [steigend]",
        "intensity_contour": "wird [leiser]; bleibt [gleich laut]; wird [lauter]",
        "position": "am [Anfang]; in der [Mitte]; am [Ende]",
        "word_pitch": "[tiefer als das andere]; [höher als das andere]",
        "word_intensity": "[leiser als das andere]; [lauter als das andere]",
        "recording": "die [erste Aufnahme]; die [zweite Aufnahme]",
        "same_gender": "[desselben Geschlechts|dasselbe Geschlecht]; [verschiedenen "
        "Geschlechts|verschiedene Geschlechter]",
    },
    "fr": {
        "yes_no": "Oui; Non",
        "average_pitch": "d'une voix [très grave]; d'une voix [assez grave]; d'une voix "
        "[légèrement grave]; d'une voix de [hauteur moyenne]; d'une voix [légèrement aiguë]; "
        "d'une voix [assez aiguë]; d'une voix [très aiguë]",
        "pitch_variation": "de façon [très monotone]; de façon [assez monotone]; de façon "
        "[légèrement monotone]; avec une [intonation modérée]; de façon [légèrement expressive]; "
        "de façon [assez expressive]; de façon [très expressive]",
        "speaking_rate": "[très lentement]; [assez lentement]; [un peu lentement]; à une [vitesse "
        "modérée]; [un peu vite]; [assez vite]; [très vite]",
        "average_intensity": "à [faible volume|doucement|voix basse]; à un [volume modéré]; "
        "à un [volume élevé|voix forte|fort]",
        "noise_level": "[très bruité]; [bruité]; [légèrement bruité]; d'une [clarté moyenne]; "
        "[plutôt net]; [net]; [très net]",
        "reverberation": "[très lointaine]; [lointaine]; [un peu lointaine]; [assez proche|un peu "
        "proche]; [très proche]",
        "distortion_level": "avec une [distorsion extrême]; avec une [forte distorsion]; "
        "avec une [nette distorsion|distorsion nette]; avec une [légère distorsion]; "
        "[presque sans distorsion]; [sans distorsion audible]",
        "speech_quality": "de [très mauvaise qualité]; de [mauvaise qualité]; "
        "d'[assez mauvaise qualité|qualité plutôt mauvaise]; de [qualité moyenne]; "
        "de [très bonne qualité]; d'[excellente qualité]",
        "gender": "une [femme|féminine|féminin]; un [homme|masculine|masculin]",
        "spoken:gender": "avec un timbre [féminin]; avec un timbre [masculin]",
        "age_category": "la [vingtaine]; la [trentaine]; la [quarantaine]; la [cinquantaine]; la "
        "[soixantaine]; [entre soixante-dix et soixante-dix-neuf ans|soixante-dix ans]; [entre "
        "quatre-vingts et quatre-vingt-neuf ans|quatre-vingts ans]; [entre quatre-vingt-dix et "
        "quatre-vingt-dix-neuf ans|quatre-vingt-dix ans]",
        "spoken:age_category": "comme quelqu'un qui a la [vingtaine]; comme quelqu'un qui a la "
        "[trentaine]; comme quelqu'un qui a la [quarantaine]; comme quelqu'un qui a la "
        "[cinquantaine]; comme quelqu'un qui a la [soixantaine]; comme quelqu'un qui a [entre "
        "soixante-dix et soixante-dix-neuf ans]; comme quelqu'un qui a [entre quatre-vingts et "
        "quatre-vingt-neuf ans]; comme quelqu'un qui a [entre quatre-vingt-dix et "
        "quatre-vingt-dix-neuf ans]",
        "accent": "un [accent américain]; un [accent britannique]; un [accent écossais]; un "
        "[accent caribéen]; un [accent allemand]; un [accent français]; un [accent italien]; un "
        "[accent castillan]; un [accent latino-américain]; un [accent irlandais]; un [accent "
        "nord-irlandais]; un [accent gallois]; un [accent canadien]; un [accent australien]; un "
        "[accent néo-zélandais]; un [accent sud-africain]; un [accent indien]; un [accent "
        "autrichien]; un [accent suisse]; un [accent belge]; un [accent mexicain]",
        "language": "[anglais]; [allemand]; [français]; [italien]; [espagnol]; [catalan]; "
        "[kinyarwanda]; [biélorusse]; [espéranto]; [kabyle]; [luganda]; [swahili]; [persan]; "
        "[bachkir]; [chinois]; [tamoul]; [russe]; [mari oriental|mari des prairies]; [basque]; "
        "[thaï]",
        "topic": "la [météo]; la [nourriture]; le [voyage]; le [travail]; la [famille]; la "
        "[musique]; la [nature]; la [santé]",
        "sentence_type": "une [question]; une [affirmation]",
        "sentence_length": "une [phrase courte]; une [phrase de longueur moyenne]; une [phrase longue]",
        "pitch_contour": "est [descendante]; reste [stable]; est [montante]",
        "intensity_contour": "devient [plus faible]; garde un [volume constant]; devient [plus forte]",
        "position": "au [début]; au [milieu]; à la [fin]",
        "word_pitch": "[plus grave que l'autre]; [plus aigu que l'autre]",
        "word_intensity": "[moins fort que l'autre|plus faible que l'autre]; [plus fort que l'autre]",
        "recording": "le [premier enregistrement]; le [second enregistrement|deuxième enregistrement]",
        "same_gender": "du [même sexe]; de [sexe différent|sexes différents]",
    },
    "it": {
        "yes_no": "Sì; No",
        "average_pitch": "con un tono [molto grave]; con un tono [abbastanza grave]; con un tono "
        "[leggermente grave]; con un [tono medio]; con un tono [leggermente acuto]; con un tono "
        "[abbastanza acuto]; con un tono [molto acuto]",
        "pitch_variation": "in modo [molto monotono]; in modo [abbastanza monotono]; "
        "in modo [un po' monotono|leggermente monotono]; con [intonazione moderata]; "
        "in modo [leggermente espressivo]; in modo [abbastanza espressivo]; "
        "in modo [molto espressivo]",
        "speaking_rate": "[molto lentamente|molto lento]; [abbastanza lentamente|abbastanza "
        "lento]; [un po' lentamente|leggermente lento|un po' lento]; a [velocità moderata]; [un "
        "po' velocemente|leggermente veloce|un po' veloce]; [abbastanza velocemente|abbastanza "
        "veloce]; [molto velocemente|molto veloce]",
        "average_intensity": "a [bassa voce]; a [volume moderato]; a [volume alto|voce molto forte|voce forte]",
        "noise_level": "[molto rumorosa]; [rumorosa]; [leggermente rumorosa]; [mediamente "
        "pulita|di chiarezza media]; [abbastanza pulita|leggermente pulita]; [pulita]; [molto "
        "pulita]",
        "reverberation": "[molto lontana]; [lontana]; [un po' lontana|leggermente lontana]; "
        "[abbastanza vicina|leggermente vicina]; [molto vicina]",
        "distortion_level": "con una [distorsione estrema]; con una [forte distorsione]; "
        "con una [distorsione evidente]; con una [leggera distorsione]; "
        "[quasi senza distorsione]; [senza distorsione udibile]",
        "speech_quality": "di [pessima qualità]; di [cattiva qualità]; di [qualità piuttosto "
        "scarsa]; di [qualità media]; di [ottima qualità]; di [eccellente qualità]",
        "gender": "una [donna|femminile]; un [uomo|maschile]",
        "spoken:gender": "con voce di [donna]; con voce d'[uomo]",
        "age_category": "[fra i venti e i ventinove anni|vent'anni]; [fra i trenta e i trentanove "
        "anni|trent'anni]; [fra i quaranta e i quarantanove anni|quarant'anni]; [fra i cinquanta "
        "e i cinquantanove anni|cinquant'anni]; [fra i sessanta e i sessantanove "
        "anni|sessant'anni]; [fra i settanta e i settantanove anni|settant'anni]; [fra gli "
        "ottanta e gli ottantanove anni|ottant'anni]; [fra i novanta e i novantanove "
        "anni|novant'anni]",
        "spoken:age_category": "come una persona [fra i venti e i ventinove anni]; come una "
        "persona [fra i trenta e i trentanove anni]; come una persona [fra i quaranta e i "
        "quarantanove anni]; come una persona [fra i cinquanta e i cinquantanove anni]; come una "
        "persona [fra i sessanta e i sessantanove anni]; come una persona [fra i settanta e i "
        "settantanove anni]; come una persona [fra gli ottanta e gli ottantanove anni]; come una "
        "persona [fra i novanta e i novantanove anni]",
        "accent": "un [accento americano]; un [accento britannico]; un [accento scozzese]; un "
        "[accento caraibico]; un [accento tedesco]; un [accento francese]; un [accento italiano]; "
        "un [accento castigliano]; un [accento latinoamericano]; un [accento irlandese]; un "
        "[accento nordirlandese]; un [accento gallese]; un [accento canadese]; un [accento "
        "australiano]; un [accento neozelandese]; un [accento sudafricano]; un [accento indiano]; "
        "un [accento austriaco]; un [accento svizzero]; un [accento belga]; un [accento messicano]",
        "language": "[inglese]; [tedesco]; [francese]; [italiano]; [spagnolo]; "
        "[catalano]; [kinyarwanda]; [bielorusso]; [esperanto]; [cabilo]; [luganda]; [swahili]; "
        "[persiano]; [baschiro]; [cinese]; [tamil]; [russo]; [mari orientale]; [basco]; "
        "[thailandese]",
        "topic": "il [meteo]; il [cibo]; il [viaggio]; il [lavoro]; la [famiglia]; la [musica]; "
        "la [natura]; la [salute]",
        "sentence_type": "una [domanda]; un'[affermazione]",
        "sentence_length": "una [frase breve]; una [frase di media lunghezza]; una [frase lunga]",
        "pitch_contour": "è [discendente]; resta [stabile]; è [ascendente]",
        "intensity_contour": "diventa [più debole]; mantiene un [volume costante]; diventa [più forte]",
        "position": "all'[inizio]; nella parte [centrale]; alla [fine]",
        "word_pitch": "[più grave dell'altra]; [più acuta dell'altra]",
        "word_intensity": "[più debole dell'altra]; [più forte dell'altra]",
        "recording": "la [prima registrazione]; la [seconda registrazione]",
        "same_gender": "dello [stesso sesso]; di [sesso diverso|sessi diversi]",
    },
    "es": {
        "yes_no": "Sí; No",
        "average_pitch": "con un tono [muy grave]; con un tono [bastante grave]; con un tono "
        "[algo grave]; con un [tono medio]; con un tono [algo agudo]; con un tono [bastante "
        "agudo]; con un tono [muy agudo]",
        "pitch_variation": "de forma [muy monótona]; de forma [bastante monótona]; de forma [algo "
        "monótona]; con una [entonación moderada]; de forma [algo expresiva]; de forma [bastante "
        "expresiva]; de forma [muy expresiva]",
        "speaking_rate": "[muy despacio]; [bastante despacio]; [algo despacio]; a [velocidad "
        "moderada]; [algo rápido]; [bastante rápido]; [muy rápido]",
        "average_intensity": "en [voz baja]; a un [volumen moderado]; con [voz fuerte|volumen alto]",
        "noise_level": "[muy ruidosa]; [ruidosa]; [algo ruidosa]; [medianamente limpia|claridad "
        "media]; [bastante limpia|algo limpia]; [limpia]; [muy limpia]",
        "reverberation": "[muy lejana]; [lejana]; [algo lejana]; [bastante cercana|algo cercana]; [muy cercana]",
        "distortion_level": "con una [distorsión extrema]; con una [distorsión fuerte]; con una "
        "[distorsión evidente|distorsión clara]; con una [distorsión leve]; [casi sin "
        "distorsión]; [sin distorsión audible]",
        "speech_quality": "de [muy mala calidad]; de [mala calidad]; de [calidad más bien "
        "mala|calidad algo mala]; de [calidad regular]; de [muy buena calidad]; de [excelente "
        "calidad]",
        "gender": "una [mujer|femenina]; un [hombre|masculina]",
        "spoken:gender": "con voz de [mujer]; con voz de [hombre]",
        "age_category": "[veintitantos años|veinte años]; [treinta y tantos años|treinta años]; "
        "[cuarenta y tantos años|cuarenta años]; [cincuenta y tantos años|cincuenta años]; "
        "[sesenta y tantos años|sesenta años]; [setenta y tantos años|setenta años]; "
        "[ochenta y tantos años|ochenta años]; [noventa y tantos años|noventa años]",
        "spoken:age_category": "como una persona de [veintitantos años]; como una persona de "
        "[treinta y tantos años]; como una persona de [cuarenta y tantos años]; como una persona "
        "de [cincuenta y tantos años]; como una persona de [sesenta y tantos años]; como una "
        "persona de [setenta y tantos años]; como una persona de [ochenta y tantos años]; como "
        "una persona de [noventa y tantos años]",
        "accent": "[acento estadounidense]; [acento británico]; [acento escocés]; [acento "
        "caribeño]; [acento alemán]; [acento francés]; [acento italiano]; [acento castellano]; "
        "[acento latinoamericano]; [acento irlandés]; [acento norirlandés]; [acento galés]; "
        "[acento canadiense]; [acento australiano]; [acento neozelandés]; [acento sudafricano]; "
        "[acento indio]; [acento austriaco]; [acento suizo]; [acento belga]; [acento mexicano]",
        "language": "[inglés]; [alemán]; [francés]; [italiano]; [español]; [catalán]; "
        "[kinyarwanda]; [bielorruso]; [esperanto]; [cabilio]; [luganda]; [suajili]; [persa]; "
        "[baskir]; [chino]; [tamil]; [ruso]; [mari de las praderas]; [euskera]; [tailandés]",
        "topic": "el [tiempo atmosférico|clima]; la [comida]; los [viajes|viaje]; el [trabajo]; "
        "la [familia]; la [música]; la [naturaleza]; la [salud]",
        "sentence_type": "una [pregunta]; una [afirmación]",
        "sentence_length": "una [frase corta]; una [frase de longitud media]; una [frase larga]",
        "pitch_contour": "es [descendente]; se mantiene [estable]; es [ascendente]",
        "intensity_contour": "se vuelve [más débil]; mantiene un [volumen constante]; se vuelve [más fuerte]",
        "position": "al [principio]; en la parte [central]; al [final]",
        "word_pitch": "con un tono [más grave que la otra]; con un tono [más agudo que la otra|más "
        "aguda que la otra]",
        "word_intensity": "[más débil que la otra]; [más fuerte que la otra]",
        "recording": "la [primera grabación]; la [segunda grabación]",
        "same_gender": "del [mismo sexo]; de [distinto sexo|sexo diferente|sexos diferentes]",
    },
}
