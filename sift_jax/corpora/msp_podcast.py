"""MSP-Podcast: emotions as people heard them in podcasts, English. Its licence is asked of its
makers.

    {Labels/,}labels_consensus.csv         FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
                                           MSP-PODCAST_0001_0008.wav,N,2.2,4.0,3.0,Speaker_12,Male,Train
    {Audios,Audio}/MSP-PODCAST_0001_0008.wav
    Transcripts/MSP-PODCAST_0001_0008.txt  the words, in releases that have them

The layout is that of releases 1.10 and 1.11. Where people did not agree, the class is X; where they
heard something that has no name, O.
"""

LABELS = ("Labels/labels_consensus.csv", "labels_consensus.csv")
AUDIO_FOLDERS = ("Audios", "Audio")
COLUMNS = ("FileName", "EmoClass", "Split_Set")
EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprised",
    "F": "afraid",
    "D": "disgusted",
    "C": "contemptuous",
    "N": "neutral",
}
